package framework_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/embedded"
	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/registry"
)

// broker is a server that can be stopped and started again on the same address and data.
type broker struct {
	t    *testing.T
	dir  string
	addr string
	stop func()
}

func newBroker(t *testing.T) *broker {
	t.Helper()

	b := &broker{t: t, dir: t.TempDir(), addr: freeAddress(t)}
	b.start()
	t.Cleanup(func() { b.stop() })

	return b
}

func (b *broker) start() {
	b.t.Helper()

	s, err := embedded.Start(context.WithoutCancel(b.t.Context()), embedded.Config{Dir: b.dir, Listen: b.addr})
	if err != nil {
		b.t.Fatal(err)
	}

	b.stop = func() {
		if err := s.Close(); err != nil {
			b.t.Errorf("close server: %v", err)
		}
	}
}

// readiness is what /readyz?detail says.
type readiness struct {
	Ready    bool              `json:"ready"`
	Problem  string            `json:"problem"`
	Instance registry.Instance `json:"instance"`
}

func (r *readiness) connection() bus.Connection { return r.Instance.Connection }

// askReadiness asks until the answer satisfies holds.
func askReadiness(t *testing.T, addr string, holds func(*readiness) bool) readiness {
	t.Helper()

	var got readiness

	until(t, func() bool {
		got = readiness{}

		status, decoded := askHealth(t, "http://"+addr+"/readyz?detail", &got)
		if !decoded {
			return false // there is no instance yet
		}

		if got.Ready != (status == http.StatusOK) {
			t.Errorf("with status %d it says %+v", status, got)
		}

		return holds(&got)
	})

	return got
}

// onBroker runs a service on a server of its own, and returns where its health is when it is ready.
func onBroker(t *testing.T, b *broker, ttl time.Duration) string {
	t.Helper()

	addr := freeAddress(t)
	serve(t, framework.Service{
		Name: "svc", Run: func(ctx context.Context, _ *framework.Client) error { <-ctx.Done(); return nil },
	}, framework.Config{URL: "nats://" + b.addr, Health: addr, RegistryTTL: ttl})

	askReadiness(t, addr, func(r *readiness) bool { return r.Ready && r.connection().Up && r.connection().Lost == 0 })

	return addr
}

// TestAnInstanceWhoseBusIsLostIsNotReady, says why, and tells everybody about it afterwards.
func TestAnInstanceWhoseBusIsLostIsNotReady(t *testing.T) {
	t.Parallel()

	const ttl = 2 * time.Second

	b := newBroker(t)
	addr := onBroker(t, b, ttl)

	b.stop()

	down := askReadiness(t, addr, func(r *readiness) bool { return !r.Ready && !r.connection().Up })

	c := down.connection()
	if c.Lost != 1 || c.Reason == "" || time.Since(c.Since) < ttl/2 ||
		!strings.Contains(down.Problem, "connection to the bus is lost") || !strings.Contains(down.Problem, c.Reason) {
		t.Errorf("%v after the loss it says %+v", time.Since(c.Since), down)
	}

	b.start()
	askReadiness(t, addr, func(r *readiness) bool { return r.Ready && r.connection().Up && r.connection().Lost == 1 })

	user := connect(t, framework.Config{URL: "nats://" + b.addr})

	r, err := user.Registry(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	until(t, func() bool {
		found := r.Find(registry.Query{Component: "svc"})

		return len(found) == 1 && found[0].Connection.Up && found[0].Connection.Lost == 1 &&
			found[0].Connection.Reason == c.Reason && found[0].Connection.Since.After(c.Since)
	})
}

// TestAShortInterruptionLeavesAnInstanceReady the whole time.
func TestAShortInterruptionLeavesAnInstanceReady(t *testing.T) {
	t.Parallel()

	b := newBroker(t)
	addr := onBroker(t, b, 2*time.Minute)

	ready := func(r *readiness) {
		if !r.Ready {
			t.Errorf("it says %+v", r)
		}
	}

	b.stop()
	askReadiness(t, addr, func(r *readiness) bool { ready(r); return !r.connection().Up })
	b.start()
	askReadiness(t, addr, func(r *readiness) bool { ready(r); return r.connection().Up && r.connection().Lost == 1 })
}
