package call_test

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
	"github.com/woodwork-go/woodwork/framework/call"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// directory is who is there, by the test's word.
type directory struct {
	mu        sync.Mutex
	instances []call.Instance
	hidden    map[bus.Endpoint]bool // listed as ready, and gone
}

func (d *directory) Ready(component, capability string) []call.Instance {
	d.mu.Lock()
	defer d.mu.Unlock()

	return slices.DeleteFunc(slices.Clone(d.instances), func(i call.Instance) bool {
		return component != "" && i.Endpoint.Component != component || capability != "" && capability != "sums"
	})
}

func (d *directory) Has(instance bus.Endpoint) bool {
	d.mu.Lock()
	defer d.mu.Unlock()

	return !d.hidden[instance] &&
		slices.ContainsFunc(d.instances, func(i call.Instance) bool { return i.Endpoint == instance })
}

func (d *directory) add(i call.Instance) {
	d.mu.Lock()
	defer d.mu.Unlock()

	d.instances = append(d.instances, i)
}

func (d *directory) remove(instance bus.Endpoint) {
	d.mu.Lock()
	defer d.mu.Unlock()

	d.instances = slices.DeleteFunc(d.instances, func(i call.Instance) bool { return i.Endpoint == instance })
}

// world is a bus with instances on it and a client.
type world struct {
	t      *testing.T
	open   func() bus.Bus
	dir    *directory
	client *call.Client
}

func setup(t *testing.T, cfg call.Config) *world {
	t.Helper()

	broker := membus.NewBroker(membus.Config{})

	return setupOn(t, func() bus.Bus { return broker.Open() }, cfg)
}

// newWorld is setup on one of the buses.
type newWorld func(t *testing.T, cfg call.Config) *world

// everywhere runs a test in memory and on NATS.
func everywhere(t *testing.T, test func(t *testing.T, setup newWorld)) {
	t.Helper()

	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, setup)
	})
	t.Run("nats", func(t *testing.T) {
		t.Parallel()

		server := embeddedtest.RunInProcess(t)

		test(t, func(t *testing.T, cfg call.Config) *world {
			t.Helper()

			app := strings.ToLower(rand.Text()) // worlds of one test don't meet

			return setupOn(t, func() bus.Bus {
				b, err := natsbus.Open(t.Context(), natsbus.Config{InProcess: server, App: app})
				if err != nil {
					t.Fatal(err)
				}

				return b
			}, cfg)
		})
	})
}

func setupOn(t *testing.T, open func() bus.Bus, cfg call.Config) *world {
	t.Helper()

	w := &world{t: t, dir: &directory{hidden: map[bus.Endpoint]bool{}}}
	w.open = func() bus.Bus {
		b := open()
		t.Cleanup(func() { _ = b.Close(context.WithoutCancel(t.Context())) })

		return b
	}
	w.client = call.NewClient(w.open(), w.dir, cfg)

	return w
}

func endpoint(id string) bus.Endpoint { return bus.Endpoint{Component: "tool", Instance: id} }

// instance is one that the test has started.
type instance struct {
	*call.Server

	bus bus.Bus
	at  bus.Endpoint
}

// serve starts an instance of "tool" whose operation "do" is the handler; limit 0 is the default one.
func (w *world) serve(id string, limit int, do call.Handler) *instance {
	w.t.Helper()

	i := &instance{bus: w.open(), at: endpoint(id)}

	var err error

	i.Server, err = call.Serve(w.t.Context(), i.bus, i.at, map[string]call.Handler{"do": do}, call.ServerConfig{Limit: limit})
	if err != nil {
		w.t.Fatal(err)
	}

	w.dir.add(call.Instance{Endpoint: i.at, Limit: limit})

	return i
}

func do() call.Request { return call.Request{Component: "tool", Operation: "do"} }

// says is a handler that replies with a text.
func says(text string) call.Handler {
	return func(_ context.Context, in *call.Incoming) error { return in.Reply([]byte(text)) }
}

// blocked is a handler that says when it has begun, and waits until it is let go or must end, for which it gives the
// reason.
type blocked struct {
	begun chan struct{}
	letGo chan struct{}
	ended chan error
}

func block() *blocked {
	return &blocked{begun: make(chan struct{}, 100), letGo: make(chan struct{}), ended: make(chan error, 100)}
}

func (b *blocked) handle(ctx context.Context, in *call.Incoming) error {
	b.begun <- struct{}{}

	select {
	case <-b.letGo:
		return in.Reply([]byte("let go"))
	case <-ctx.Done():
		b.ended <- context.Cause(ctx)

		return context.Cause(ctx)
	}
}

// reply is what a call in another goroutine came to.
type reply struct {
	body string
	err  error
}

func (w *world) begin(ctx context.Context, r call.Request) <-chan reply {
	got := make(chan reply, 1)

	go func() {
		body, err := w.client.Call(ctx, r)
		got <- reply{string(body), err}
	}()

	return got
}

func (w *world) want(r call.Request, want string) {
	w.t.Helper()

	if body, err := w.client.Call(w.t.Context(), r); err != nil || string(body) != want {
		w.t.Errorf("got %q, %v, want %q", body, err, want)
	}
}

func (w *world) wantError(r call.Request, want error) {
	w.t.Helper()

	if body, err := w.client.Call(w.t.Context(), r); !errors.Is(err, want) {
		w.t.Errorf("got %q, %v, want %v", body, err, want)
	}
}

func code(err error) string {
	if remote, ok := errors.AsType[*bus.RemoteError](err); ok {
		return remote.Code
	}

	return ""
}
