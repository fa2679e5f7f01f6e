package row

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/woodwork-go/woodwork/bench/lane"
	"github.com/woodwork-go/woodwork/bench/measure"
	"github.com/woodwork-go/woodwork/bench/report"
)

// word is a chunk that carries the time at which it was meant to be sent.
const word = " measured"

// sessions measures sessions that all talk at the rate of a language model, over a relay that passes each chunk on. The
// times count from when a chunk was meant to be sent, so falling behind shows.
func sessions(ctx context.Context, e *Env, out *report.Report) error {
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

	floor, ours := newSystem("raw JetStream, republished", raw.Republished), newSystem("Woodwork on JetStream", e.woodwork(b).Open)

	const rate = 50

	chunks := e.pick(5, 20) * rate
	cpu := map[*system]time.Duration{}

	for range e.pick(1, 3) {
		for _, s := range []*system{floor, ours} {
			used, err := talk(ctx, s, manySessions, chunks, time.Second/rate)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}

			cpu[s] += used
		}
	}

	for _, s := range []*system{floor, ours} {
		out.Add("1,000 sessions × 50 chunks/s, two hops", s.name, millis("p50 ms", s.took.P(median)),
			millis("p99 ms", s.took.P(tail)), micros("processor µs/chunk", cpu[s]/time.Duration(s.took.Count())))
	}

	out.Set("sessions_1000_p99_vs_raw", over(ours, floor, tail))
	out.Set("sessions_1000_p99_ms", millis("", ours.took.P(tail)).Value)

	return nil
}

const manySessions = 1000

// talk runs n sessions of two hops each and returns the processor time they took.
func talk(ctx context.Context, s *system, n, chunks int, interval time.Duration) (time.Duration, error) {
	conversations := make([]*conversation, n)

	for i := range conversations {
		c, err := converse(ctx, s.open)
		if err != nil {
			return 0, err
		}

		conversations[i] = c
	}

	before, err := measure.CPU()
	if err != nil {
		return 0, err //nolint:wrapcheck // it says what it is about
	}

	group, talking := errgroup.WithContext(ctx)
	start := time.Now().Add(time.Second)

	for i, c := range conversations {
		at := start.Add(interval * time.Duration(i) / time.Duration(n)) // spread over the interval

		group.Go(func() error { return c.speak(talking, at, interval, chunks) })
		group.Go(func() error { return c.relay(talking, chunks) })
		group.Go(func() error { return c.listen(talking, chunks) })
	}

	if err := group.Wait(); err != nil {
		return 0, err //nolint:wrapcheck // the caller says which system it was
	}

	after, err := measure.CPU()
	if err != nil {
		return 0, err //nolint:wrapcheck // it says what it is about
	}

	for _, c := range conversations {
		s.took.Merge(c.took)

		if err := c.close(ctx); err != nil {
			return 0, err
		}
	}

	return after - before, nil
}

// conversation is one session: a lane to the relay and one from there.
type conversation struct {
	there, back lane.Lane
	took        *measure.Latency
}

func converse(ctx context.Context, open lane.Opener) (*conversation, error) {
	there, err := open(ctx)
	if err != nil {
		return nil, fmt.Errorf("open first hop: %w", err)
	}

	back, err := open(ctx)
	if err != nil {
		return nil, fmt.Errorf("open second hop: %w", err)
	}

	return &conversation{there: there, back: back, took: measure.NewLatency()}, nil
}

func (c *conversation) speak(ctx context.Context, start time.Time, interval time.Duration, chunks int) error {
	//nolint:wrapcheck // the caller says which system it was
	return measure.Pace(ctx, start, interval, chunks, func(meant time.Time) error {
		return c.there.Send(ctx, measure.Stamp(meant, word)) //nolint:wrapcheck // the caller says which system it was
	})
}

func (c *conversation) relay(ctx context.Context, chunks int) error {
	for range chunks {
		data, err := c.there.Receive(ctx)
		if err != nil {
			return fmt.Errorf("receive at the relay: %w", err)
		}

		if err := c.back.Send(ctx, data); err != nil {
			return fmt.Errorf("send at the relay: %w", err)
		}
	}

	return nil
}

func (c *conversation) listen(ctx context.Context, chunks int) error {
	for range chunks {
		data, err := c.back.Receive(ctx)
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}

		c.took.Add(measure.Since(data))
	}

	return nil
}

func (c *conversation) close(ctx context.Context) error {
	if err := c.there.Close(ctx); err != nil {
		return fmt.Errorf("close first hop: %w", err)
	}

	if err := c.back.Close(ctx); err != nil {
		return fmt.Errorf("close second hop: %w", err)
	}

	return nil
}
