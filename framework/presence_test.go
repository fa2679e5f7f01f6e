package framework_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/registry"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

// onEachBus runs a test on memory, a NATS server and a Redis; open returns the settings of one more connection.
func onEachBus(t *testing.T, test func(t *testing.T, open func() framework.Config)) {
	t.Helper()

	t.Run("memory", func(t *testing.T) {
		t.Parallel()

		broker := membus.NewBroker(membus.Config{})
		test(t, func() framework.Config { return framework.Config{Bus: broker.Open()} })
	})

	t.Run("nats", func(t *testing.T) {
		t.Parallel()

		server := embeddedtest.RunInProcess(t)
		test(t, func() framework.Config { return framework.Config{InProcess: server} })
	})

	t.Run("redis", func(t *testing.T) {
		t.Parallel()

		url := redistest.Run(t, redistest.Options{}).URL()
		test(t, func() framework.Config { return framework.Config{URL: url} })
	})
}

// serve runs a service until the test ends or stop is called, which returns how it ended.
func serve(t *testing.T, s framework.Service, cfg framework.Config) (stop func() error) {
	t.Helper()

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)

	go func() {
		ended <- framework.Run(ctx, s, cfg)

		close(ended)
	}()

	stop = func() error { cancel(); return <-ended }

	t.Cleanup(func() { _ = stop() })

	return stop
}

// changes passes on what the registry tells.
func changes(t *testing.T, c *framework.Client) <-chan registry.Event {
	t.Helper()

	r, err := c.Registry(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	events, over := make(chan registry.Event, 1000), make(chan struct{})

	go func() {
		defer close(over)

		for e := range r.Events(ctx) {
			events <- e
		}
	}()

	t.Cleanup(func() { cancel(); <-over })

	return events
}

// event returns the next event of a component for which holds does.
func event(t *testing.T, events <-chan registry.Event, component string, holds func(registry.Event) bool) registry.Event {
	t.Helper()

	var seen []string

	patience := time.NewTimer(time.Minute)
	defer patience.Stop()

	for {
		select {
		case e := <-events:
			if e.Instance.Component == component && holds(e) {
				return e
			}

			seen = append(seen, fmt.Sprintf("%s %s %s", e.Kind, e.Instance.Component, e.Instance.State))
		case <-patience.C:
			t.Fatalf("no such event about %s, but %q", component, seen)
		}
	}
}

func inState(s registry.State) func(registry.Event) bool {
	return func(e registry.Event) bool { return e.Instance.State == s && e.Kind != registry.Left }
}

func isKind(k registry.Kind) func(registry.Event) bool {
	return func(e registry.Event) bool { return e.Kind == k }
}

// An instance is listed from its beginning, ready when it works, draining while it finishes, and gone at its end.
func TestAnInstanceInTheRegistry(t *testing.T) {
	t.Parallel()
	onEachBus(t, func(t *testing.T, open func() framework.Config) {
		user := connect(t, open())
		events := changes(t, user)
		began, finish := make(chan struct{}), make(chan struct{})
		stop := serve(t, framework.Service{
			Name: "slow", Kind: "test", Capabilities: []string{"waiting"}, Version: "1.2.3", Concurrency: 7,
			Handler: func(context.Context, *framework.Turn) error {
				close(began)
				<-finish

				return framework.Terminate(errors.New("enough"))
			},
		}, open())

		i := event(t, events, "slow", inState(registry.Ready)).Instance
		if i.Type != "test" || !i.Has("waiting") || i.Version != "1.2.3" || i.Load.Limit != 7 || i.PID == 0 || i.ID == "" {
			t.Errorf("it says of itself %+v", i)
		}

		if _, err := user.Post(t.Context(), framework.Post{Session: "s", Component: "slow"}, []byte("go")); err != nil {
			t.Fatal(err)
		}

		<-began

		stopped := make(chan error, 1)
		go func() { stopped <- stop() }()

		if i = event(t, events, "slow", inState(registry.Draining)).Instance; i.Load.Running != 1 {
			t.Errorf("while it drains its load is %+v", i.Load)
		}

		close(finish)

		if i = event(t, events, "slow", isKind(registry.Left)).Instance; i.Stats.Turns != 1 || i.Stats.Errors != 1 {
			t.Errorf("at its end it has counted %+v", i.Stats)
		}

		if err := <-stopped; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
}

func TestASecondProcessWithOneIDDoesNotRun(t *testing.T) {
	t.Parallel()
	onEachBus(t, func(t *testing.T, open func() framework.Config) {
		events := changes(t, connect(t, open()))
		service := framework.Service{
			Name: "svc", Run: func(ctx context.Context, _ *framework.Client) error { <-ctx.Done(); return nil },
		}
		named := func() framework.Config {
			cfg := open()
			cfg.Instance, cfg.Heartbeat = "one", 100*time.Millisecond

			return cfg
		}

		stop := serve(t, service, named())
		event(t, events, "svc", inState(registry.Ready))

		var taken *registry.TakenError
		if err := framework.Run(t.Context(), service, named()); !errors.As(err, &taken) || taken.Holder.ID != "one" {
			t.Errorf("the second one ended with %v", err)
		}

		if err := stop(); err != nil {
			t.Error(err)
		}

		serve(t, service, named()) // the id is free again
		event(t, events, "svc", isKind(registry.Left))
		event(t, events, "svc", inState(registry.Ready))
	})
}

func TestAServiceThatFailsSaysSo(t *testing.T) {
	t.Parallel()
	onEachBus(t, func(t *testing.T, open func() framework.Config) {
		events := changes(t, connect(t, open()))
		cfg := open()
		cfg.RegistryTTL = 2 * time.Second

		stop := serve(t, framework.Service{
			Name: "svc", Run: func(context.Context, *framework.Client) error { return errors.New("no\npaper") },
		}, cfg)

		if i := event(t, events, "svc", inState(registry.Failed)).Instance; i.Problem != "no; paper" {
			t.Errorf("it says that %q", i.Problem)
		}

		if err := stop(); err == nil {
			t.Error("it ended without an error")
		}

		event(t, events, "svc", isKind(registry.Left)) // by expiry
	})
}

// unlisted is a bus that refuses to keep anything in the registry.
type unlisted struct{ bus.Bus }

func (unlisted) Set(context.Context, bus.Bucket, string, []byte, uint64, time.Duration) (uint64, error) {
	return 0, bus.ErrUnknown
}

// An instance that nobody can find is alive, but not ready; that it works does not depend on it.
func TestHealthWithoutARegistry(t *testing.T) {
	t.Parallel()

	addr := freeAddress(t)
	ready := make(chan struct{})

	serve(t, framework.Service{
		Name: "svc", Run: func(ctx context.Context, _ *framework.Client) error { close(ready); <-ctx.Done(); return nil },
	}, framework.Config{Bus: unlisted{membus.New(membus.Config{})}, Health: addr})

	<-ready

	if err := framework.CheckHealth(t.Context(), "http://"+addr+"/healthz"); err != nil {
		t.Error(err)
	}

	if err := framework.CheckHealth(t.Context(), "http://"+addr+"/readyz"); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("readiness: %v", err)
	}
}

// ended is a bus that says that it has ended.
type ended struct {
	bus.Bus

	done chan struct{}
}

func (e ended) Done() <-chan struct{} { return e.done }

func (e ended) Err() error {
	select {
	case <-e.done:
		return bus.ErrClosed
	default:
		return nil
	}
}

func TestHealthAfterTheBusHasEnded(t *testing.T) {
	t.Parallel()

	addr := freeAddress(t)
	b := ended{Bus: membus.New(membus.Config{}), done: make(chan struct{})}
	asked := make(chan error, 1)
	stop := serve(t, framework.Service{
		Name: "svc", Run: func(ctx context.Context, _ *framework.Client) error {
			close(b.done)
			asked <- framework.CheckHealth(context.WithoutCancel(ctx), "http://"+addr+"/healthz")

			return nil
		},
	}, framework.Config{Bus: b, Health: addr})

	if err := <-asked; err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("health: %v", err)
	}

	if err := stop(); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("the service ended with %v", err)
	}
}

func TestTheRegistryOfAClosedClient(t *testing.T) {
	t.Parallel()

	c, err := framework.Connect(t.Context(), framework.Config{Bus: membus.New(membus.Config{})})
	if err != nil {
		t.Fatal(err)
	}

	if _, err := c.Registry(t.Context()); err != nil {
		t.Fatal(err)
	}

	if err := errors.Join(c.Close(t.Context()), c.Close(t.Context())); err != nil {
		t.Fatal(err)
	}

	if _, err := c.Registry(t.Context()); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}
