package framework_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/call"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// running runs a service until the test ends or stop is called.
func running(t *testing.T, s framework.Service, cfg framework.Config) (stop func()) {
	t.Helper()

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)

	go func() { ended <- framework.Run(ctx, s, cfg) }()

	stopped := false
	stop = func() {
		if stopped {
			return
		}

		stopped = true

		cancel()

		if err := <-ended; err != nil {
			t.Errorf("service %s ended with %v", s.Name, err)
		}
	}
	t.Cleanup(stop)

	return stop
}

// called repeats a call until somebody serves it: instances need a moment to be known.
func called(t *testing.T, c call.Caller, component string, r call.Request) string {
	t.Helper()

	for {
		body, err := c.Call(t.Context(), component, r)
		if err == nil {
			return string(body)
		}

		if !errors.Is(err, call.ErrNoInstance) && !errors.Is(err, bus.ErrNoResponder) {
			t.Fatal(err)
		}
	}
}

func replies(text string) call.Handler {
	return func(_ context.Context, in *call.Incoming) error { return in.Reply([]byte(text)) }
}

func TestCallsByNameAndByCapability(t *testing.T) {
	t.Parallel()

	server := embeddedtest.RunInProcess(t)
	cfg := framework.Config{InProcess: server}
	stop := running(t, framework.Service{
		Name: "tool", Capabilities: []string{"sums"}, Calls: map[string]call.Handler{"add": replies("5")},
	}, cfg)
	client := connect(t, cfg)

	if got := called(t, client, "tool", call.Request{Operation: "add"}); got != "5" {
		t.Errorf("by name: %q", got)
	}

	if got := called(t, client, "", call.Request{Capability: "sums", Operation: "add"}); got != "5" {
		t.Errorf("by capability: %q", got)
	}

	if s := client.Breakers().For("tool").Status(); s.State != breaker.Closed {
		t.Errorf("breaker: %+v", s)
	}

	stop()

	if _, err := client.Call(t.Context(), "tool", call.Request{Operation: "add"}); err == nil {
		t.Error("a stopped service was called")
	}
}

// TestATurnsCallsEndWithIt: they carry its ids, and its cancel cancels them.
func TestATurnsCallsEndWithIt(t *testing.T) {
	t.Parallel()

	broker := membus.NewBroker(membus.Config{})
	begun, ended := make(chan call.Incoming, 1), make(chan struct{})

	running(t, framework.Service{Name: "tool", Calls: map[string]call.Handler{
		"hang": func(ctx context.Context, in *call.Incoming) error {
			begun <- *in

			<-ctx.Done()
			close(ended)

			return ctx.Err()
		},
	}}, framework.Config{Bus: broker.Open()})
	running(t, framework.Service{Name: "agent", Handler: func(ctx context.Context, turn *framework.Turn) error {
		for {
			_, err := turn.Call(ctx, "tool", call.Request{Operation: "hang"})
			if !errors.Is(err, call.ErrNoInstance) {
				return err
			}
		}
	}}, framework.Config{Bus: broker.Open()})

	user := connect(t, framework.Config{Bus: broker.Open()})

	ref, err := user.Post(t.Context(), framework.Post{Session: "s", Component: "agent", ID: "t1"}, []byte("go"))
	if err != nil {
		t.Fatal(err)
	}

	if in := <-begun; in.Session != "s" || in.Turn != "t1" || in.Root != "t1" || in.From != "agent" {
		t.Errorf("the call came from %+v", in)
	}

	if err := user.Cancel(t.Context(), ref, "enough"); err != nil {
		t.Fatal(err)
	}

	<-ended

	follower, err := user.Follow(t.Context(), stream.FollowConfig{Session: "s"})
	if err != nil {
		t.Fatal(err)
	}
	defer follower.Close()

	for {
		event, err := follower.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		if event.Event.Kind == stream.KindEnd && event.Info.Component == "agent" {
			if event.Event.End.State != bus.Cancelled {
				t.Errorf("the turn ended as %+v", event.Event.End)
			}

			return
		}
	}
}

// TestARefusedCallTakesNoTime: what fails is called five times, and from then on a call of it fails in less than a
// millisecond, also with a fallback.
func TestARefusedCallTakesNoTime(t *testing.T) {
	t.Parallel()
	onEachBus(t, func(t *testing.T, open func() framework.Config) {
		const calls = 1001

		var served atomic.Int32

		took := make([]time.Duration, 0, calls)
		done := make(chan error, 1)

		running(t, framework.Service{Name: "tool", Calls: map[string]call.Handler{
			"fail": func(context.Context, *call.Incoming) error { served.Add(1); return errors.New("no paper") },
		}}, open())
		running(t, framework.Service{Name: "agent", Handler: func(ctx context.Context, turn *framework.Turn) error {
			request := call.Request{Operation: "fail"}
			for ctx.Err() == nil {
				if _, err := turn.Call(ctx, "tool", request); errors.Is(err, call.ErrBreakerOpen) {
					break
				}
			}

			request.Fallback = func(context.Context, error) ([]byte, error) { return []byte("instead"), nil }

			for n := range calls {
				begun := time.Now()
				body, err := turn.Call(ctx, "tool", request)
				took = append(took, time.Since(begun))

				if err != nil || string(body) != "instead" {
					done <- fmt.Errorf("call %d: got %q, %w", n, body, err)

					return nil
				}
			}

			done <- nil

			return nil
		}}, open())

		user := connect(t, open())
		if _, err := user.Post(t.Context(), framework.Post{Session: "s", Component: "agent"}, []byte("go")); err != nil {
			t.Fatal(err)
		}

		if err := <-done; err != nil {
			t.Fatal(err)
		}

		slices.Sort(took)
		t.Logf("of %d refused calls the median took %v, 99 of 100 at most %v", calls, took[calls/2], took[calls*99/100])

		if took[calls/2] >= time.Millisecond || served.Load() != 5 {
			t.Errorf("the median took %v, %d calls were served", took[calls/2], served.Load())
		}
	})
}

// TestACallEndsWithItsInstance: one that vanishes without a word is noticed by the registry, long before the call's own
// time is over.
func TestACallEndsWithItsInstance(t *testing.T) {
	t.Parallel()

	broker := membus.NewBroker(membus.Config{})
	dying := broker.Open()
	begun := make(chan struct{})
	ctx, kill := context.WithCancel(t.Context())
	gone := make(chan error, 1)

	go func() {
		gone <- framework.Run(ctx, framework.Service{Name: "tool", Calls: map[string]call.Handler{
			"hang": func(ctx context.Context, _ *call.Incoming) error {
				close(begun)
				<-ctx.Done()

				return ctx.Err()
			},
		}}, framework.Config{Bus: dying, RegistryTTL: time.Second, Drain: -1})
	}()

	client := connect(t, framework.Config{Bus: broker.Open()})
	got := make(chan error, 1)

	go func() {
		for {
			_, err := client.Call(t.Context(), "tool", call.Request{Operation: "hang", Timeout: -1})
			if !errors.Is(err, call.ErrNoInstance) {
				got <- err

				return
			}
		}
	}()

	<-begun

	if err := dying.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	if err := <-got; !errors.Is(err, bus.ErrInterrupted) {
		t.Errorf("the call ended with %v", err)
	}

	kill()
	<-gone
}

// TestAnInstanceServesNoMoreWhileItDrains, but finishes what it has.
func TestAnInstanceServesNoMoreWhileItDrains(t *testing.T) {
	t.Parallel()

	broker := membus.NewBroker(membus.Config{})
	begun, letGo := make(chan struct{}), make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)

	go func() {
		ended <- framework.Run(ctx, framework.Service{Name: "tool", Calls: map[string]call.Handler{
			"slow": func(_ context.Context, in *call.Incoming) error {
				close(begun)
				<-letGo

				return in.Reply([]byte("done"))
			},
		}}, framework.Config{Bus: broker.Open()})
	}()

	client := connect(t, framework.Config{Bus: broker.Open()})
	got := make(chan string, 1)

	go func() { got <- called(t, client, "tool", call.Request{Operation: "slow"}) }()

	<-begun
	stop()

	for { // until the end of its intake is known
		_, err := client.Call(t.Context(), "tool", call.Request{Operation: "none"})
		if remote, ok := errors.AsType[*bus.RemoteError](err); !ok || remote.Code != call.CodeUnknown {
			break
		}
	}

	close(letGo)

	if text := <-got; text != "done" {
		t.Errorf("got %q", text)
	}

	if err := <-ended; err != nil {
		t.Error(err)
	}
}
