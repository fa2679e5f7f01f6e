package stream_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// A later attempt that begins after the earlier one has withdrawn is fenced off by nothing of it.
func TestWithdrawWaitsForTheFirstFrame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := membus.New(membus.Config{})
		gated := &gateBus{Bus: b, open: make(chan struct{})}
		s := stream.NewStore(gated, b.Info(), stream.Config{})
		defer s.Close()
		w := open(t, s, writing)
		if err := w.Send(t.Context(), []byte("late")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the append is under way
		withdrawn := make(chan error, 1)
		go func() { withdrawn <- w.Withdraw(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-withdrawn:
			t.Errorf("withdrew while an append was under way: %v", err)
		default:
		}
		close(gated.open)
		if err := <-withdrawn; err != nil {
			t.Error(err)
		}
		later := open(t, s, writing)
		if later.Attempt() != 2 {
			t.Errorf("the later writer is attempt %d, want 2: the frame under way was not stored yet", later.Attempt())
		}
		if err := later.Close(t.Context()); err != nil {
			t.Errorf("the later attempt: %v", err)
		}
		if err := w.Send(t.Context(), []byte("c")); !errors.Is(err, stream.ErrClosed) {
			t.Errorf("send after withdrawing: %v", err)
		}
	})
}

func TestWithdrawWaitsForBegunAppends(t *testing.T) {
	t.Parallel()
	for name, outcome := range map[string]error{"stored": nil, "unknown": bus.ErrUnknown, "closed": bus.ErrClosed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newHeldBus()
				s := stream.NewStore(b, b.Info(), stream.Config{})
				defer s.Close()
				w, done := heldWriter(t, s, b, "one")
				withdrawn := make(chan error, 1)
				go func() { withdrawn <- w.Withdraw(t.Context()) }()
				synctest.Wait()
				select {
				case err := <-withdrawn:
					t.Errorf("withdrew while an append was under way: %v", err)
				default:
				}
				done(&bus.Entry{Frame: bus.Frame{ID: w.ID()}}, outcome)
				if err := <-withdrawn; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Whoever withdraws doesn't wait for a bus that hangs longer than it wants to, and then nobody goes on trying.
func TestWithdrawEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := membus.New(membus.Config{})
		s := stream.NewStore(&gateBus{Bus: b, open: make(chan struct{})}, b.Info(), stream.Config{})
		w := open(t, s, writing)
		if err := w.Send(t.Context(), []byte("a")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.Withdraw(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("withdraw from a bus that hangs: %v", err)
		}
		begin := time.Now()
		s.Close()
		if took := time.Since(begin); took != 0 {
			t.Errorf("the withdrawn append held the store for %v", took)
		}
	})
}

// What has its end, or has nothing under way, has nothing to wait for.
func TestWithdrawReturnsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := membus.New(membus.Config{})
		s := stream.NewStore(b, b.Info(), stream.Config{})
		defer s.Close()
		ended := open(t, s, stream.WriterConfig{Session: "s", Info: stream.Info{Stream: "ended"}})
		if err := ended.CloseWith(t.Context(), []byte("a")); err != nil {
			t.Fatal(err)
		}
		idle := open(t, s, stream.WriterConfig{Session: "s", Info: stream.Info{Stream: "idle"}})
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // it would end a wait
		for name, w := range map[string]*stream.Writer{"ended": ended, "idle": idle} {
			if err := w.Withdraw(ctx); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := ended.Close(t.Context()); err != nil {
			t.Errorf("close again after withdrawing: %v", err)
		}
	})
}
