package natsbus

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/embedded"
	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/bustest"
)

// TestCluster runs what needs three servers on the same three: first what shares them, each in applications of its
// own, then what takes one of them away.
func TestCluster(t *testing.T) { //nolint:tparallel // the order of the two parts matters
	t.Parallel()
	c := embeddedtest.RunCluster(t)
	t.Run("all up", func(t *testing.T) {
		t.Run("replicated", func(t *testing.T) { t.Parallel(); replicated(t, c) })
		t.Run("mailbox", func(t *testing.T) { t.Parallel(); mailboxOn(t, strings.Join(c.URLs(), ","), clusterLease, 2) })
		t.Run("conformance", func(t *testing.T) {
			t.Parallel()
			bustest.Run(t, bustest.Features{Lease: clusterLease, Letters: 200, Faultless: true},
				func(t *testing.T) bustest.Harness {
					t.Helper()

					return harness(strings.Join(c.URLs(), ","))
				})
		})
	})
	//nolint:paralleltest // it stops a server of the others
	t.Run("server of a watch stops", func(t *testing.T) { watchMoves(t, c) })
	//nolint:paralleltest // it stops a server of the others
	t.Run("leader stops", func(t *testing.T) { leaderStops(t, c) })
}

// clusterLease outlasts the stalls of three servers that share a busy machine with everything else.
const clusterLease = 2500 * time.Millisecond

func replicated(t *testing.T, c *embedded.Cluster) {
	t.Helper()
	b := open(t, Config{URL: c.URLs()[0]})
	if got := b.Info().Durability; got != bus.Fast {
		t.Errorf("durability is %s, want %s", got, bus.Fast)
	}
	for _, name := range []string{b.ns.LogStream(0), b.ns.TurnsStream(), b.ns.DeadStream(), "KV_" + b.ns.Bucket("sessions")} {
		s := must(b.js.Stream(t.Context(), name))(t)
		if got := s.CachedInfo().Config.Replicas; got != 3 {
			t.Errorf("%s has %d replicas, want 3", name, got)
		}
	}
	synced := open(t, Config{URL: c.URLs()[1], Synced: true})
	if got := synced.Info().Durability; got != bus.Replicated {
		t.Errorf("declared durability is %s, want %s", got, bus.Replicated)
	}
}

// leaderStops takes the leader of a log away under a writer and a reader.
func leaderStops(t *testing.T, c *embedded.Cluster) {
	t.Helper()
	b := open(t, Config{URL: strings.Join(c.URLs(), ","), App: "leader", Shards: 1, AppendTimeout: DefaultAppendTimeout})
	id := testID(1)
	const n = 60
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var last *bus.Entry
	for i := range n {
		if i == n/2 {
			stopLeader(t, b, c)
		}
		last = store(ctx, t, b, frame(id, i, strconv.Itoa(i)), last)
	}
	if seen := read(t, b, last, bus.Cursor{}); len(seen) != n {
		t.Errorf("read %v", seen)
	}
}

// watchMoves takes away the server that has the consumer of a watch, but not the one that the watch is connected to.
func watchMoves(t *testing.T, c *embedded.Cluster) {
	t.Helper()
	b := open(t, Config{URL: strings.Join(c.URLs(), ","), App: "watch", Shards: 1})
	prefix, at := "", b.nc.ConnectedServerName()
	var events <-chan bus.KVEvent
	for n := 0; at == b.nc.ConnectedServerName(); n++ {
		prefix = "w" + strconv.Itoa(n)
		events = bustest.Watch(t, b, bus.Registry, prefix)
		wantEvents(t, events, bus.KVSynced, "")
		at = watchedAt(t, b, prefix)
	}
	i := node(t, c, at)
	if err := c.Stop(i); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for attempt := 0; ; attempt++ {
		_, err := b.Set(t.Context(), bus.Registry, prefix+".a", nil, 0, 0)
		if err == nil || errors.Is(err, bus.ErrConflict) { // an earlier try was stored
			break
		}
		if wait := (&Bus{}).pause(t.Context(), attempt); wait != nil || !errors.Is(err, bus.ErrUnknown) {
			t.Fatal(err)
		}
	}
	stored := time.Since(begun)
	wantEvents(t, events, bus.KVSet, prefix+".a")
	t.Logf("a change was stored %v after the watch's server was stopped and seen after %v", stored, time.Since(begun))
	if err := c.Restart(t.Context(), i); err != nil {
		t.Fatal(err)
	}
}

// watchedAt returns the server that has the consumer of the watch of a prefix in the registry.
func watchedAt(t *testing.T, b *Bus, prefix string) string {
	t.Helper()
	name := b.ns.Bucket(string(bus.Registry))
	s := must(b.js.Stream(t.Context(), bucketPrefix+name))(t)
	at := ""
	for info := range s.ListConsumers(t.Context()).Info() { // to its end, for the client has a goroutine for it
		if slices.Contains(info.Config.FilterSubjects, kvSubjects(name)+prefix) {
			at = info.Cluster.Leader
		}
	}

	return at
}

// store appends as a writer does: until it is stored, whatever happens.
func store(ctx context.Context, t *testing.T, b *Bus, f *bus.Frame, after *bus.Entry) *bus.Entry {
	t.Helper()
	for attempt := 0; ; attempt++ {
		e, err := b.Append(ctx, f, after)
		switch {
		case err == nil:
			return e
		case errors.Is(err, bus.ErrConflict):
			if e := must(b.Last(ctx, f.ID))(t); e != nil && e.Same(f) {
				return e
			}
			t.Fatalf("frame %d was fenced by nobody", f.First)
		case !errors.Is(err, bus.ErrUnknown) && !errors.Is(err, bus.ErrBusy):
			t.Fatal(err)
		}
		if err := (&Bus{}).pause(ctx, attempt); err != nil {
			t.Fatal(err)
		}
	}
}

func stopLeader(t *testing.T, b *Bus, c *embedded.Cluster) {
	t.Helper()
	leader := must(b.js.Stream(t.Context(), b.ns.LogStream(0)))(t).CachedInfo().Cluster.Leader
	if err := c.Stop(node(t, c, leader)); err != nil {
		t.Fatal(err)
	}
}

// node returns the number of the node with a name.
func node(t *testing.T, c *embedded.Cluster, name string) int {
	t.Helper()
	for i := range c.URLs() {
		if c.NodeName(i) == name {
			return i
		}
	}
	t.Fatalf("no node is called %s", name)

	return 0
}
