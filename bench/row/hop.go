package row

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/bus/redisbus"

	"github.com/woodwork-go/woodwork/bench/lane"
	"github.com/woodwork-go/woodwork/bench/measure"
	"github.com/woodwork-go/woodwork/bench/report"
)

// token is what a chunk of a language model is like.
const token = " token"

// system is a lane with its name and what was measured of it.
type system struct {
	name string
	open lane.Opener
	took *measure.Latency
}

func newSystem(name string, open lane.Opener) *system {
	return &system{name: name, open: open, took: measure.NewLatency()}
}

// hop measures from the call that sends to the return of the call that receives, one chunk at a time.
func hop(ctx context.Context, e *Env, out *report.Report) error {
	url, err := e.nats(ctx)
	if err != nil {
		return err
	}

	raw, err := e.raw(ctx, url, 1)
	if err != nil {
		return err
	}

	b, err := e.bus(ctx, url)
	if err != nil {
		return err
	}

	watermill, err := lane.WatermillNATS(url)
	if err != nil {
		return err
	}

	e.onClose(watermill.Close)

	floor, ours, peer := newSystem("raw JetStream, republished", raw.Republished),
		newSystem("Woodwork on JetStream", e.woodwork(b).Open), newSystem("Watermill on JetStream", watermill.Open)
	memory := newSystem("Woodwork in memory", e.woodwork(membus.New(membus.Config{})).Open)

	if err := hops(ctx, e, out, "one hop, R1", floor, ours, peer, memory); err != nil {
		return err
	}

	out.Set("hop_latency_p50_vs_raw", over(ours, floor, median))
	out.Set("hop_latency_p99_vs_raw", over(ours, floor, tail))
	out.Set("hop_latency_p50_vs_watermill_jetstream", over(ours, peer, median))

	return nil
}

// hopReplicated is hop on three nodes.
func hopReplicated(ctx context.Context, e *Env, out *report.Report) error {
	url, err := e.cluster(ctx)
	if err != nil {
		return err
	}

	raw, err := e.raw(ctx, url, 3)
	if err != nil {
		return err
	}

	b, err := e.bus(ctx, url)
	if err != nil {
		return err
	}

	floor, ours := newSystem("raw JetStream, republished", raw.Republished), newSystem("Woodwork on JetStream", e.woodwork(b).Open)
	if err := hops(ctx, e, out, "one hop, R3", floor, ours); err != nil {
		return err
	}

	out.Set("r3_hop_latency_p50_vs_raw", over(ours, floor, median))

	return nil
}

// hopRedis is hop on a Redis that syncs its log every second.
func hopRedis(ctx context.Context, e *Env, out *report.Report) error {
	server, err := e.redis(ctx)
	if err != nil {
		return err
	}

	b, err := redisbus.Open(ctx, redisbus.Config{URL: server.URL()})
	if err != nil {
		return err //nolint:wrapcheck // a DialError says all there is to say
	}

	e.onClose(func() error { return b.Close(context.WithoutCancel(ctx)) })

	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	e.onClose(client.Close)

	watermill, err := lane.WatermillRedis(server.Addr())
	if err != nil {
		return err //nolint:wrapcheck // it says what it was doing
	}

	e.onClose(watermill.Close)

	floor, ours, peer := newSystem("raw Redis Streams", lane.NewRedis(client).Open),
		newSystem("Woodwork on Redis", e.woodwork(b).Open), newSystem("Watermill on Redis", watermill.Open)
	if err := hops(ctx, e, out, "one hop, Redis", floor, ours, peer); err != nil {
		return err
	}

	out.Set("redis_hop_latency_p50_vs_raw", over(ours, floor, median))
	out.Set("redis_hop_latency_p50_vs_watermill", over(ours, peer, median))

	return nil
}

// The percentiles that are compared.
const (
	median = 50
	tail   = 99
)

// over returns how a percentile of one system compares with that of another.
func over(a, b *system, percentile float64) float64 {
	return float64(a.took.P(percentile)) / float64(b.took.P(percentile))
}

// hops measures the systems in turn, round by round, and prints them.
func hops(ctx context.Context, e *Env, out *report.Report, name string, systems ...*system) error {
	const perRound = 250

	lanes := make([]lane.Lane, len(systems))
	for i, s := range systems {
		l, err := s.open(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}

		lanes[i] = l

		if err := pingPong(ctx, l, perRound, measure.NewLatency()); err != nil { // warm up
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}

	for range e.pick(20, 100) {
		for i, s := range systems {
			if err := pingPong(ctx, lanes[i], perRound, s.took); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}

	for i, s := range systems {
		_ = lanes[i].Close(ctx) // it has been measured

		out.Add(name, s.name, micros("p50 µs", s.took.P(median)), micros("p99 µs", s.took.P(tail)),
			micros("max µs", s.took.P(100)))
	}

	return nil
}

func micros(name string, d time.Duration) report.Figure {
	return report.Figure{Name: name, Value: float64(d) / float64(time.Microsecond)}
}

func millis(name string, d time.Duration) report.Figure {
	return report.Figure{Name: name, Value: float64(d) / float64(time.Millisecond)}
}

// pingPong sends a message whenever the one before has arrived.
func pingPong(ctx context.Context, l lane.Lane, n int, took *measure.Latency) error {
	arrived, failed := make(chan time.Time), make(chan error, 1)

	go func() {
		for range n {
			if _, err := l.Receive(ctx); err != nil {
				failed <- err

				return
			}

			arrived <- time.Now()
		}
	}()

	for range n {
		begun := time.Now()

		if err := l.Send(ctx, []byte(token)); err != nil {
			return fmt.Errorf("send: %w", err)
		}

		select {
		case at := <-arrived:
			took.Add(at.Sub(begun))
		case err := <-failed:
			return fmt.Errorf("receive: %w", err)
		}
	}

	return nil
}
