package row

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"

	"github.com/woodwork-go/woodwork/bench/lane"
	"github.com/woodwork-go/woodwork/bench/measure"
	"github.com/woodwork-go/woodwork/bench/report"
)

// errIncomplete: something that must arrive whole did not.
var errIncomplete = errors.New("incomplete")

// turns measures an acknowledged post of a turn: its input stream with one chunk, and its letter in the mailbox of a
// component that works. Each session has one turn at a time.
func turns(ctx context.Context, e *Env, out *report.Report) error {
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

	worker, err := startWorker(ctx, b)
	if err != nil {
		return err
	}
	defer worker.stop()

	floor, err := raw.Republished(ctx)
	if err != nil {
		return err //nolint:wrapcheck // it says what it was doing
	}

	defer func() { _ = floor.Close(ctx) }() // it has been measured

	publish, letter, post := measure.NewLatency(), measure.NewLatency(), measure.NewLatency()

	for i := range e.pick(2_000, 10_000) {
		if err := worker.round(ctx, i, floor, publish, letter, post); err != nil {
			return err
		}
	}

	const name = "posting"

	out.Add(name, "raw JetStream, one publish", micros("p50 µs", publish.P(median)), micros("p99 µs", publish.P(tail)))
	out.Add(name, "Woodwork, a letter into a mailbox", micros("p50 µs", letter.P(median)), micros("p99 µs", letter.P(tail)))
	out.Add(name, "Woodwork, a turn with its input", micros("p50 µs", post.P(median)), micros("p99 µs", post.P(tail)),
		micros("posted to begun p50 µs", worker.begun.P(median)), micros("p99 µs", worker.begun.P(tail)))
	out.Set("turn_post_p50_vs_raw_publish", float64(post.P(median))/float64(publish.P(median)))

	return nil
}

// worker is a component that notes when its turns begin.
type worker struct {
	bus    bus.Bus
	client *framework.Client
	starts chan time.Time
	begun  *measure.Latency
	stop   func()
}

const sink = "sink"

func startWorker(ctx context.Context, b bus.Bus) (*worker, error) {
	client, err := framework.Connect(ctx, framework.Config{Bus: b})
	if err != nil {
		return nil, err //nolint:wrapcheck // a DialError says all there is to say
	}

	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	w := &worker{
		bus: b, client: client, starts: make(chan time.Time, 1), begun: measure.NewLatency(),
		stop: func() {
			cancel()
			<-ended
			_ = client.Close(context.WithoutCancel(ctx)) // the bus is not the client's
		},
	}

	go func() {
		defer close(ended)

		_ = framework.Run(ctx, framework.Service{ // whoever waits for a turn sees that it ended
			Name: sink,
			Handler: func(ctx context.Context, t *framework.Turn) error {
				w.starts <- time.Now()

				_, err := t.Input.ReadAll(ctx)

				return err //nolint:wrapcheck // it names the stream
			},
		}, framework.Config{Bus: b, Drain: time.Second})
	}()

	return w, nil
}

// round does each of the three once, in a session of its own, and waits until the turn has begun.
func (w *worker) round(ctx context.Context, i int, raw lane.Lane, publish, letter, post *measure.Latency) error {
	begun := time.Now()
	if err := raw.Send(ctx, []byte(token)); err != nil {
		return fmt.Errorf("publish: %w", err)
	}

	publish.Add(time.Since(begun))

	if _, err := raw.Receive(ctx); err != nil {
		return fmt.Errorf("receive: %w", err)
	}

	id := strconv.Itoa(i)
	begun = time.Now()

	if err := w.bus.Post(ctx, &bus.Letter{ID: "l" + id, Component: "nobody", Session: "s" + id, Body: []byte(token)}); err != nil {
		return fmt.Errorf("post letter: %w", err)
	}

	letter.Add(time.Since(begun))

	begun = time.Now()
	if _, err := w.client.Post(ctx, framework.Post{Session: "s" + id, Component: sink}, []byte(token)); err != nil {
		return fmt.Errorf("post turn: %w", err)
	}

	posted := time.Now()
	post.Add(posted.Sub(begun))

	select {
	case at := <-w.starts:
		w.begun.Add(max(0, at.Sub(posted)))

		return nil
	case <-time.After(time.Minute):
		return fmt.Errorf("turn %s has not begun: %w", id, errIncomplete)
	}
}
