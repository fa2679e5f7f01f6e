package turn_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/framework/turn"
)

// slowBus takes its time over what is appended to one stream. What is on its way arrives, whatever its sender does
// meanwhile.
type slowBus struct {
	*membus.Bus

	stream  string
	delay   time.Duration
	sending chan struct{} // gets one for each append to the stream
}

func (b *slowBus) Append(ctx context.Context, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	if f.ID.Stream != b.stream {
		return b.Bus.Append(ctx, f, after)
	}

	b.sending <- struct{}{}

	stored := make(chan struct{})

	var (
		e   *bus.Entry
		err error
	)

	go func() {
		defer close(stored)

		<-time.After(b.delay)

		e, err = b.Bus.Append(context.WithoutCancel(ctx), f, after)
	}()

	select {
	case <-stored:
		return e, err
	case <-ctx.Done():
		return nil, errors.Join(bus.ErrUnknown, context.Cause(ctx))
	}
}

// An attempt that failed while a frame of it was on its way to the bus is followed by the next one as soon as its
// backoff is over, which the late frame doesn't fence off.
func TestALateFrameOfAFailedAttemptFencesNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const backoff, delay, lease = 10 * time.Millisecond, 100 * time.Millisecond, 1200 * time.Millisecond

		broker := membus.NewBroker(membus.Config{})
		slow := &slowBus{
			Bus: broker.Open(), stream: outputID("t1", component), delay: delay, sending: make(chan struct{}, 10),
		}
		store := stream.NewStore(slow, slow.Info(), stream.Config{})

		var begun []time.Time

		handle := func(ctx context.Context, a *turn.Attempt) error {
			begun = append(begun, time.Now())

			if err := a.Output.Send(ctx, []byte("answer")); err != nil {
				return err
			}

			if a.Deliveries == 1 {
				<-slow.sending

				return errors.New("not today")
			}

			return nil
		}

		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		worker := turn.NewWorker(slow, store, turn.Config{Component: component, Backoff: backoff, Lease: lease})

		go func() { done <- worker.Run(ctx, handle) }()

		u := newUser(t, broker)
		u.post("t1", "hello")

		if text, end := u.answer("t1"); text != "answer" || end != nil {
			t.Errorf("answer %q, %v", text, end)
		}

		stop()

		if err := <-done; err != nil {
			t.Error(err)
		}

		store.Close()
		_ = slow.Close(context.WithoutCancel(ctx)) // membus always succeeds

		if len(begun) != 2 {
			t.Fatalf("%d executions, want 2", len(begun))
		}

		if between := begun[1].Sub(begun[0]); between < delay+backoff || between > 2*delay {
			t.Errorf("the second execution began after %v, want after the frame arrived", between)
		}
	})
}
