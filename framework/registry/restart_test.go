package registry

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/embedded"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
)

// restarting is a server that can be started again on the same address.
type restarting struct {
	t      *testing.T
	server *embedded.Server
	dir    string
}

func newRestarting(t *testing.T) *restarting {
	t.Helper()

	r := &restarting{t: t, dir: t.TempDir()}
	r.start("127.0.0.1:-1")
	t.Cleanup(func() { _ = r.server.Close() })

	return r
}

func (r *restarting) start(listen string) {
	r.t.Helper()

	var err error
	if r.server, err = embedded.Start(r.t.Context(), embedded.Config{Dir: r.dir, Listen: listen}); err != nil {
		r.t.Fatal(err)
	}
}

// restart ends the server and starts it, with its data or without, after it has called down.
func (r *restarting) restart(keep bool, down func()) {
	r.t.Helper()

	if err := r.server.Close(); err != nil {
		r.t.Fatal(err)
	}

	down()

	if !keep {
		r.dir = r.t.TempDir()
	}

	r.start(strings.TrimPrefix(r.server.URL(), "nats://"))
}

func (r *restarting) open() *natsbus.Bus {
	r.t.Helper()

	b, err := natsbus.Open(r.t.Context(), natsbus.Config{URL: r.server.URL()})
	if err != nil {
		r.t.Fatal(err)
	}

	r.t.Cleanup(func() { _ = b.Close(context.WithoutCancel(r.t.Context())) })

	return b
}

// TestServerRestarts restarts the server under many instances, each with a registry and a connection of its own. Soon
// everybody sees a new heartbeat of everybody and who has joined since.
func TestServerRestarts(t *testing.T) {
	t.Parallel()

	for name, keep := range map[string]bool{"with its data": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			restarts(t, keep)
		})
	}
}

func restarts(t *testing.T, keep bool) {
	t.Helper()

	const (
		instances = 8
		ttl       = 3 * time.Second // the heartbeat is a third of it
		soon      = 6 * time.Second // a heartbeat and a second, on a busy machine
	)

	server, p := newRestarting(t), newParts(t)

	var said atomic.Value
	said.Store("before")

	report := func() Report { return Report{Problem: said.Load().(string)} }
	join := func(id string) <-chan Event {
		b := server.open()
		events := p.events(p.registry(b))
		p.ready(b, MemberConfig{Instance: Instance{ID: id}, TTL: ttl, Report: report})

		return events
	}

	var all []<-chan Event
	for n := range instances {
		all = append(all, join(fmt.Sprint(n)))
	}

	for _, events := range all {
		untilAll(events, "before", instances)
	}

	server.restart(keep, func() { said.Store("after") })

	up := time.Now()
	all = append(all, join("new"))

	for _, events := range all {
		untilAll(events, "after", instances+1)
	}

	took := time.Since(up)
	t.Logf("%d instances saw each other and a new one %v after the server was back", instances, took)

	if took > soon {
		t.Errorf("it took %v, want less than %v", took, soon)
	}
}

// untilAll receives events until so many instances have said something.
func untilAll(events <-chan Event, problem string, instances int) {
	seen := map[string]bool{}

	for len(seen) < instances {
		if e := <-events; e.Instance.Problem == problem && !e.Gone && e.Kind != Left {
			seen[e.Instance.ID] = true
		}
	}
}
