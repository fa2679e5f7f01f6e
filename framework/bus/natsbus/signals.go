package natsbus

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// signalQueue is how many signals about all streams may wait for their listeners before some are dropped.
const signalQueue = 4 << 10

// Signal publishes data on core NATS, without a broker's acknowledgement; see [bus.Signals]. It fails while the
// connection is broken. One that takes nothing holds it up for two seconds at most, as all that is sent.
func (b *Bus) Signal(ctx context.Context, id bus.StreamID, data []byte) error {
	subject, err := b.ns.Signal(id.Session, id.Stream)
	if err != nil {
		return fmt.Errorf("signal: %w: %w", bus.ErrInvalid, err)
	}
	if len(data) > bus.MaxSignal {
		return fmt.Errorf("signal about %s of %d bytes: %w", id, len(data), bus.ErrTooLarge)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("signal about %s: %w", id, err)
	}
	if b.Err() != nil {
		return fmt.Errorf("signal about %s: %w", id, b.closedError())
	}
	if err := b.nc.Publish(subject, data); err != nil {
		return fmt.Errorf("signal about %s: %w", id, mapError(err))
	}

	return nil
}

// Listen delivers signals about a stream; see [bus.Signals].
func (b *Bus) Listen(ctx context.Context, id bus.StreamID, deliver func([]byte)) (func(), error) {
	subject, err := b.ns.Signal(id.Session, id.Stream)
	if err != nil {
		return nil, fmt.Errorf("listen: %w: %w", bus.ErrInvalid, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("listen to %s: %w", id, err)
	}
	stop, err := b.signals.add(subject, deliver)
	if err != nil {
		return nil, fmt.Errorf("listen to %s: %w", id, err)
	}

	return stop, nil
}

// signals delivers signals to listeners. All subscriptions share one channel and one goroutine, which are not those of
// live frames: whoever is slow here holds up signals only.
type signals struct {
	nc    *nats.Conn
	queue chan *nats.Msg
	quit  chan struct{}
	ended chan struct{}

	mu     sync.Mutex
	topics map[string]*signalTopic             // by subject
	bySub  map[*nats.Subscription]*signalTopic // the same
	closed bool
}

// signalTopic is the listeners of one stream.
type signalTopic struct {
	sub *nats.Subscription

	mu        sync.Mutex // held while delivering
	listeners []*func([]byte)
}

func newSignals(nc *nats.Conn) *signals {
	s := &signals{
		nc: nc, queue: make(chan *nats.Msg, signalQueue), quit: make(chan struct{}), ended: make(chan struct{}),
		topics: map[string]*signalTopic{}, bySub: map[*nats.Subscription]*signalTopic{},
	}
	go s.run()

	return s
}

func (s *signals) add(subject string, deliver func([]byte)) (func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, bus.ErrClosed
	}
	t := s.topics[subject]
	if t == nil {
		sub, err := s.nc.ChanSubscribe(subject, s.queue)
		if err != nil {
			return nil, mapError(err)
		}
		t = &signalTopic{sub: sub}
		s.topics[sub.Subject] = t
		s.bySub[sub] = t
	}
	t.mu.Lock()
	t.listeners = append(t.listeners, &deliver)
	t.mu.Unlock()

	return func() { s.remove(t, &deliver) }, nil
}

// remove ends a listener, and the subscription with the last one. No delivery is under way when it returns.
func (s *signals) remove(t *signalTopic, deliver *func([]byte)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.listeners = slices.DeleteFunc(t.listeners, func(other *func([]byte)) bool { return other == deliver })
	if len(t.listeners) > 0 || s.bySub[t.sub] == nil {
		return
	}
	delete(s.topics, t.sub.Subject)
	delete(s.bySub, t.sub)
	_ = t.sub.Unsubscribe() // fails on a closed connection only, which has no subscriptions
}

// run delivers until close.
func (s *signals) run() {
	defer close(s.ended)
	for {
		select {
		case m := <-s.queue:
			s.dispatch(m)
		case <-s.quit:
			return
		}
	}
}

func (s *signals) dispatch(m *nats.Msg) {
	s.mu.Lock()
	t := s.bySub[m.Sub]
	s.mu.Unlock()
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, deliver := range t.listeners {
		(*deliver)(m.Data)
	}
}

// close ends the deliveries and waits for the one under way.
func (s *signals) close() {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if !closed {
		close(s.quit)
	}
	<-s.ended
}
