package registry

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
)

// openNATS opens a bus on a server in this process.
func openNATS(t *testing.T, server natsbus.InProcess) *natsbus.Bus {
	t.Helper()

	b, err := natsbus.Open(t.Context(), natsbus.Config{InProcess: server})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = b.Close(context.WithoutCancel(t.Context())) })

	return b
}

// TestFiftyInstancesOnNATS: five components of ten instances each find each other; finding one takes less time than one
// read of the store.
func TestFiftyInstancesOnNATS(t *testing.T) {
	t.Parallel()

	const components, each, finds = 5, 10, 1000

	server := embeddedtest.RunInProcess(t)
	members, looking := openNATS(t, server), openNATS(t, server)
	p := newParts(t)
	r := p.registry(looking)
	events := p.events(r)

	for n := range components * each {
		p.member(members, MemberConfig{Instance: Instance{Component: fmt.Sprint("c", n%components), ID: fmt.Sprint(n)}})
	}

	for range components * each {
		if e := <-events; e.Kind != Joined {
			t.Fatalf("event %+v, want 50 that join", e)
		}
	}

	found, got := make([]time.Duration, finds), make([]time.Duration, finds)
	for n := range finds {
		begun := time.Now()

		if there := r.Find(Query{Component: "c3"}); len(there) != each {
			t.Fatalf("found %d of %d", len(there), each)
		}

		found[n] = time.Since(begun)
		begun = time.Now()

		if _, err := looking.Get(t.Context(), bus.Registry, "c3.3"); err != nil {
			t.Fatal(err)
		}

		got[n] = time.Since(begun)
	}

	slices.Sort(found)
	slices.Sort(got)
	t.Logf("50 instances: finding the ten of one component takes p50 %v, p99 %v; a read of the store p50 %v, p99 %v",
		found[finds/2], found[finds*99/100], got[finds/2], got[finds*99/100])

	if found[finds/2] >= got[finds/2] {
		t.Errorf("finding takes p50 %v, a read of the store %v", found[finds/2], got[finds/2])
	}
}

// The life of an entry on a real server: it is seen, forgotten by the server and back, seen to expire when its
// process says nothing more and back when it goes on, and taken off.
func TestAnEntryOnNATS(t *testing.T) {
	t.Parallel()

	const ttl = 2 * time.Second

	server := embeddedtest.RunInProcess(t)
	b, p := openNATS(t, server), newParts(t)
	hung := &broken{KV: b}
	r := p.registry(openNATS(t, server))
	events := p.events(r)
	m := p.ready(hung, MemberConfig{Instance: Instance{ID: "a"}, TTL: ttl})
	untilState(events, "a", Ready)

	forget(t, b, r)
	until(t, events, Broke, "a")
	until(t, events, Joined, "a")

	hung.pause()
	until(t, events, Broke, "a")
	hung.resume()
	until(t, events, Joined, "a")

	m.leave()
	until(t, events, Left, "a")
}
