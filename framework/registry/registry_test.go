package registry

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func ids(found []Instance) []string {
	var ids []string
	for _, i := range found {
		ids = append(ids, i.ID)
	}

	return ids
}

// put stores an entry as a member would, but only once.
func put(t *testing.T, kv bus.KV, i Instance) {
	t.Helper()

	key := i.Component + "." + i.ID
	there, _ := kv.Get(t.Context(), bus.Registry, key) // not there: revision 0

	if _, err := kv.Set(t.Context(), bus.Registry, key, entry(key, i).Value, there.Revision, 0); err != nil {
		t.Fatal(err)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kv, p := newBus(), newParts(t)
		defer p.stop()

		r := p.registry(kv)
		put(t, kv, Instance{Component: "llm", ID: "b", Type: "model", State: Ready, Capabilities: []string{"chat", "tools"}})
		put(t, kv, Instance{Component: "llm", ID: "a", Type: "model", State: Draining, Capabilities: []string{"chat"}})
		put(t, kv, Instance{Component: "small", ID: "c", Type: "model", State: Ready, Capabilities: []string{"chat"}})
		put(t, kv, Instance{Component: "web", ID: "a", Type: "input", State: Ready})
		synctest.Wait()

		for _, c := range []struct {
			q    Query
			want []string
		}{
			{Query{}, []string{"a", "b", "c", "a"}},
			{Query{Component: "llm"}, []string{"a", "b"}},
			{Query{Component: "llm", State: Ready}, []string{"b"}},
			{Query{Type: "model"}, []string{"a", "b", "c"}},
			{Query{Capability: "chat", State: Ready}, []string{"b", "c"}},
			{Query{Capability: "tools"}, []string{"b"}},
			{Query{Instance: "a"}, []string{"a", "a"}},
			{Query{Component: "none"}, nil},
		} {
			if diff := cmp.Diff(c.want, ids(r.Find(c.q))); diff != "" {
				t.Errorf("%+v (-want +got):\n%s", c.q, diff)
			}
		}

		<-time.After(time.Minute) // of the bubble

		if age, there := r.Heard("llm", "b"); age != time.Minute || !there {
			t.Errorf("heard of b %v ago, %v", age, there)
		}

		if _, there := r.Heard("llm", "c"); there {
			t.Error("heard of an instance that never was")
		}
	})
}

func TestChoose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kv, p := newBus(), newParts(t)
		defer p.stop()

		r := p.registry(kv)
		for n := range 10 {
			load := Load{Running: n, Limit: 10}
			put(t, kv, Instance{Component: "llm", ID: fmt.Sprint(n), State: Ready, Report: Report{Load: load}})
		}

		put(t, kv, Instance{Component: "llm", ID: "drains", State: Draining})
		put(t, kv, Instance{Component: "llm", ID: "full", State: Ready, Report: Report{Load: Load{Running: 3, Limit: 3}}})
		synctest.Wait()

		const draws = 2000

		q := Query{Component: "llm"}
		drawn := map[string]int{}

		for range draws {
			i, _ := r.Choose(q)
			drawn[i.ID]++
		}

		// The least loaded of ten is one of two drawn in 19 of 100 cases, the most loaded wins in 1.
		if drawn["full"]+drawn["drains"] > 0 || drawn["0"] < draws/8 || drawn["9"] > draws/25 {
			t.Errorf("drawn: %v", drawn)
		}

		if i, _ := r.Choose(Query{Component: "llm", Prefer: "9", Session: "s"}); i.ID != "9" {
			t.Errorf("instead of the preferred one %s was chosen", i.ID)
		}

		if i, ok := r.Choose(Query{Component: "llm", Prefer: "full"}); i.ID == "full" || !ok {
			t.Errorf("the preferred one is full, %q was chosen", i.ID)
		}

		if i, ok := r.Choose(Query{Component: "llm", Instance: "full"}); i.ID != "full" || !ok {
			t.Errorf("with nobody else %q was chosen", i.ID)
		}

		if i, ok := r.Choose(Query{Component: "none"}); ok {
			t.Errorf("of a component that isn't there %s was chosen", i.ID)
		}
	})
}

// A session's instance is the same in every registry; when one instance leaves, only its own sessions move.
func TestSessionsStayWithTheirInstance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const sessions, instances = 1000, 5

		kv, p := newBus(), newParts(t)
		defer p.stop()

		one, other := p.registry(kv), p.registry(kv)
		for n := range instances {
			put(t, kv, Instance{Component: "llm", ID: fmt.Sprint(n), State: Ready})
		}

		synctest.Wait()

		at, share := map[string]string{}, map[string]int{}

		for n := range sessions {
			s := fmt.Sprint("session-", n)
			a, _ := one.Choose(Query{Session: s})
			b, _ := other.Choose(Query{Session: s})

			if a.ID != b.ID {
				t.Fatalf("%s is with %s and with %s", s, a.ID, b.ID)
			}

			at[s] = a.ID
			share[a.ID]++
		}

		for id, n := range share {
			if n < sessions/instances/2 || n > sessions/instances*2 {
				t.Errorf("instance %s has %d of %d sessions", id, n, sessions)
			}
		}

		put(t, kv, Instance{Component: "llm", ID: "0", State: Draining})
		synctest.Wait()

		for s, before := range at {
			if now, _ := one.Choose(Query{Session: s}); now.ID == "0" || before != "0" && now.ID != before {
				t.Errorf("%s moved from %s to %s", s, before, now.ID)
			}
		}
	})
}

// A watch that is lost and opened again changes nothing for those who stayed; who left meanwhile, left.
func TestALostWatchIsOpenedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kv, p := newBus(), newParts(t)
		defer p.stop()

		link := &broken{KV: kv}
		r := p.registry(link)
		events := p.events(r)

		for _, id := range []string{"stays", "goes"} {
			put(t, kv, Instance{Component: "llm", ID: id, State: Ready})
			until(t, events, Joined, id)
		}

		link.cut(true)
		<-time.After(time.Minute) // of the bubble: many tries

		if len(r.Find(Query{})) != 2 || len(events) > 0 {
			t.Errorf("without a watch there are %d, after %d events", len(r.Find(Query{})), len(events))
		}

		if err := kv.Delete(t.Context(), bus.Registry, "llm.goes", 0); err != nil {
			t.Fatal(err)
		}

		put(t, kv, Instance{Component: "llm", ID: "comes", State: Ready})
		link.cut(false)

		seen := map[string]Kind{}
		for range 2 {
			e := <-events
			seen[e.Instance.ID] = e.Kind
		}

		if diff := cmp.Diff(map[string]Kind{"goes": Left, "comes": Joined}, seen); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}

		for range 10 {
			link.cut(false)
			<-time.After(time.Minute) // of the bubble
		}

		if len(events) > 0 {
			t.Errorf("watches that broke and came back made %d events, such as %+v", len(events), <-events)
		}
	})
}

// A subscriber that doesn't keep up is told how things are instead, and holds up nobody.
func TestASlowSubscriberGetsAResync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kv, p := newBus(), newParts(t)
		defer p.stop()

		r := p.registry(kv)
		ctx, enough := context.WithCancel(p.ctx)
		defer enough()

		put(t, kv, Instance{Component: "llm", ID: "first", State: Ready})
		synctest.Wait()

		count, resynced := 0, false

		for e := range r.Events(ctx) {
			count++

			switch {
			case count == 1: // fall behind
				for n := range 3 * maxQueue {
					put(t, kv, Instance{Component: "llm", ID: fmt.Sprint(n), State: Ready})
				}

				synctest.Wait()
				put(t, kv, Instance{Component: "llm", ID: "last", State: Ready})
				synctest.Wait()
			case e.Kind == Resync:
				resynced = true

				if len(e.All) != 3*maxQueue+2 || !cmp.Equal(ids(e.All), ids(r.Find(Query{}))) {
					t.Errorf("resync with %d instances", len(e.All))
				}

				put(t, kv, Instance{Component: "llm", ID: "later", State: Ready})
			case e.Instance.ID == "later":
				enough()
			default:
				t.Fatalf("event %d is %s of %s", count, e.Kind, e.Instance.ID)
			}
		}

		if !resynced {
			t.Error("there was no resync")
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	if err := New(newBus(), Config{}).Wait(ctx); err == nil {
		t.Error("a registry that never ran is said to be complete")
	}
}

func BenchmarkFind(b *testing.B) {
	r := New(newBus(), Config{})
	for n := range 50 {
		key := fmt.Sprintf("c%d.%d", n%5, n)
		i := Instance{Component: fmt.Sprintf("c%d", n%5), ID: fmt.Sprint(n), State: Ready}
		r.apply(bus.KVEvent{Kind: bus.KVSet, Entry: entry(key, i)})
	}

	for b.Loop() {
		if len(r.Find(Query{Component: "c3", State: Ready})) != 10 {
			b.Fatal("not found")
		}
	}
}
