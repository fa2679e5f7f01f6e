package redisbus

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/woodwork-go/woodwork/framework/bus"
)

const (
	// signalQueue is how many signals may wait to be sent before more are refused.
	signalQueue = 1024
	// signalsAtOnce bounds the signals of one round trip.
	signalsAtOnce = 128
)

// Signal publishes data without waiting for the server; see [bus.Signals]. It fails while the subscribed connection is
// broken, and with an error that wraps [bus.ErrFull] when the server is too slow.
func (b *Bus) Signal(ctx context.Context, id bus.StreamID, data []byte) error {
	channel, err := b.ns.RedisSignal(id.Session, id.Stream)
	if err != nil {
		return fmt.Errorf("signal: %w: %w", bus.ErrInvalid, err)
	}
	if len(data) > bus.MaxSignal {
		return fmt.Errorf("signal about %s of %d bytes: %w", id, len(data), bus.ErrTooLarge)
	}
	if err := b.ready(ctx); err != nil {
		return fmt.Errorf("signal about %s: %w", id, err)
	}
	if !b.hub.connected() {
		return fmt.Errorf("signal about %s: the connection is broken: %w", id, bus.ErrUnknown)
	}
	if !b.signals.put(signal{channel: channel, data: slices.Clone(data)}) {
		return fmt.Errorf("signal about %s: %d signals wait to be sent: %w", id, signalQueue, bus.ErrFull)
	}

	return nil
}

// Listen delivers signals about a stream; see [bus.Signals].
func (b *Bus) Listen(ctx context.Context, id bus.StreamID, deliver func([]byte)) (func(), error) {
	channel, err := b.ns.RedisSignal(id.Session, id.Stream)
	if err != nil {
		return nil, fmt.Errorf("listen: %w: %w", bus.ErrInvalid, err)
	}
	stop, err := b.hub.subscribe(ctx, channel, func(m *message) { deliver([]byte(m.payload)) }, nil)
	if err != nil {
		return nil, fmt.Errorf("listen to %s: %w", id, err)
	}

	return stop, nil
}

type signal struct {
	channel string
	data    []byte
}

// signals sends signals one batch after another, so that whoever signals does not wait for the server.
type signals struct{ queue chan signal }

func newSignals() signals { return signals{queue: make(chan signal, signalQueue)} }

func (s signals) put(one signal) bool {
	select {
	case s.queue <- one:
		return true
	default:
		return false
	}
}

// send sends until the bus is closed, and then what waits. What can't be sent is lost, as signals may be.
func (s signals) send(ctx context.Context, b *Bus) {
	for {
		select {
		case first := <-s.queue:
			_ = b.publishAll(ctx, s.batch(first)) // it is logged
		case <-b.closing:
			var err error
			for err == nil && len(s.queue) > 0 {
				err = b.publishAll(ctx, s.batch(<-s.queue))
			}

			return
		}
	}
}

// batch returns what waits in the queue, behind the first.
func (s signals) batch(first signal) []signal {
	all := []signal{first}
	for len(all) < signalsAtOnce {
		select {
		case one := <-s.queue:
			all = append(all, one)
		default:
			return all
		}
	}

	return all
}

// publishAll publishes signals in one round trip.
func (b *Bus) publishAll(ctx context.Context, all []signal) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := b.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, one := range all {
			p.Publish(ctx, one.channel, one.data)
		}

		return nil
	})
	if err != nil {
		b.log.Debug().Err(err).Int("signals", len(all)).Msg("signals were lost")
	}

	return err
}
