package registry

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus"
)

// world is what is really there, and what a watch of it has told a view.
type world struct {
	view  *view
	there map[string]Instance
	// told is what a subscriber knows who believes every event.
	told map[string]Instance
	// said is what operators have said, by key.
	said map[string]Override
	runs int
	open bool
}

func entry(key string, content any) bus.KVEntry {
	value, err := json.Marshal(content)
	if err != nil {
		panic(err)
	}

	return bus.KVEntry{Key: key, Value: value}
}

// see passes on one step of the watch.
func (w *world) see(t *rapid.T, e bus.KVEvent) {
	if !w.open {
		return
	}

	events, err := w.view.apply(e, time.Time{})
	if err != nil {
		t.Fatal(err)
	}

	for _, e := range events {
		w.believe(t, e)
	}
}

// believe checks an event against all earlier ones and what is there.
func (w *world) believe(t *rapid.T, e Event) {
	before, knew := w.told[e.Instance.ID]
	now, there := w.there["llm."+e.Instance.ID]

	switch {
	case e.Kind == Joined && knew, e.Kind != Joined && !knew:
		t.Fatalf("%s of %s, known: %v", e.Kind, e.Instance.ID, knew)
	case e.Kind == Joined, e.Kind == Changed, e.Kind == Broke && !e.Gone:
		if e.Kind == Changed && same(before, e.Instance) {
			t.Fatalf("%s changed in nothing", e.Instance.ID)
		}

		w.told[e.Instance.ID] = e.Instance
	case there && now.Run == before.Run:
		t.Fatalf("%s of %s, which is there", e.Kind, e.Instance.ID)
	default:
		delete(w.told, e.Instance.ID)
	}
}

func (w *world) set(t *rapid.T, key string, i Instance) {
	w.there[key] = i
	if i.State == Terminated {
		delete(w.there, key)
	}

	w.see(t, bus.KVEvent{Kind: bus.KVSet, Entry: entry(key, i)})
}

// TestTheViewFollows: whatever happens, and whenever the watch is lost and opened again, the view ends as what is there,
// whoever believes the events knows the same, and nobody who stayed is said to have left.
func TestTheViewFollows(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		w := &world{
			view: newView(), there: map[string]Instance{}, told: map[string]Instance{}, said: map[string]Override{},
		}
		id := rapid.SampledFrom([]string{"a", "b", "c"})
		state := rapid.SampledFrom([]State{Initializing, Ready, Draining, Failed, Terminated})

		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				id := id.Draw(t, "id")
				i := w.there["llm."+id]

				if i.Run == "" || rapid.IntRange(0, 9).Draw(t, "new run") == 0 {
					w.runs++
					i = Instance{ID: id, Component: "llm", Run: fmt.Sprint(w.runs)}
				}

				i.State = state.Draw(t, "state")
				i.Beat++
				w.set(t, "llm."+id, i)
			},
			"beat": func(t *rapid.T) {
				key := "llm." + id.Draw(t, "id")
				if i, there := w.there[key]; there {
					i.Beat++
					i.Load.Running = rapid.IntRange(0, 9).Draw(t, "running")
					w.set(t, key, i)
				}
			},
			"expire": func(t *rapid.T) {
				key := "llm." + id.Draw(t, "id")
				delete(w.there, key)
				w.see(t, bus.KVEvent{Kind: bus.KVGone, Entry: bus.KVEntry{Key: key}})
			},
			"say": func(t *rapid.T) {
				o := Override{Target: id.Draw(t, "target"), Mode: breaker.ForceOpen, TTL: rapid.IntRange(0, 9).Draw(t, "ttl")}
				key := "_breaker._." + o.Target
				w.said[key] = o
				w.see(t, bus.KVEvent{Kind: bus.KVSet, Entry: entry(key, o)})
			},
			"take back": func(t *rapid.T) {
				key := "_breaker._." + id.Draw(t, "target")
				delete(w.said, key)
				w.see(t, bus.KVEvent{Kind: bus.KVGone, Entry: bus.KVEntry{Key: key}})
			},
			"lose the watch": func(*rapid.T) { w.open = false },
			"open the watch": func(t *rapid.T) {
				w.open = true
				w.view.reopen()

				for key, i := range w.there {
					if rapid.IntRange(0, 9).Draw(t, "breaks again") == 0 {
						w.open = false

						return
					}

					w.see(t, bus.KVEvent{Kind: bus.KVSet, Entry: entry(key, i)})
				}

				for key, o := range w.said {
					w.see(t, bus.KVEvent{Kind: bus.KVSet, Entry: entry(key, o)})
				}

				w.see(t, bus.KVEvent{Kind: bus.KVSynced})
			},
			"": func(t *rapid.T) {
				if !w.open || w.view.missing != nil {
					return
				}

				seen := map[string]Instance{}
				for key, k := range w.view.known {
					seen[key] = k.instance
				}

				if diff := cmp.Diff(w.there, seen); diff != "" {
					t.Fatalf("the view differs (-there +seen):\n%s", diff)
				}

				if diff := cmp.Diff(w.said, w.view.overrides); diff != "" {
					t.Fatalf("of what was said the view differs (-said +seen):\n%s", diff)
				}

				for key, i := range w.there {
					if told, knew := w.told[i.ID]; !knew || !same(told, i) || told.Run != i.Run {
						t.Fatalf("of %s a subscriber knows %+v, it is %+v", key, told, i)
					}
				}

				if len(w.told) != len(w.there) {
					t.Fatalf("a subscriber knows %d, there are %d", len(w.told), len(w.there))
				}
			},
		})
	})
}

// TestWhatIsAChangeOfBreakers: that one opens, or is forced, and not each call that fails.
func TestWhatIsAChangeOfBreakers(t *testing.T) {
	t.Parallel()

	closed := breaker.Status{Name: "tool", State: breaker.Closed, Mode: breaker.Auto}
	failing, open, forced, other := closed, closed, closed, closed
	failing.Failures, open.State, forced.Mode, other.Name = 4, breaker.Open, breaker.ForceClosed, "db"

	v := newView()
	see := func(all ...breaker.Status) int {
		i := Instance{Component: "llm", ID: "a", Run: "1", Report: Report{Breakers: all}}

		events, err := v.apply(bus.KVEvent{Kind: bus.KVSet, Entry: entry("llm.a", i)}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}

		return len(events)
	}

	see(closed)

	for n, c := range []struct {
		breakers []breaker.Status
		events   int
	}{
		{[]breaker.Status{failing}, 0},
		{[]breaker.Status{failing, other}, 0},
		{[]breaker.Status{open, other}, 1},
		{[]breaker.Status{other, open}, 0},
		{[]breaker.Status{forced}, 1},
		{[]breaker.Status{closed}, 1},
		{nil, 0},
	} {
		if got := see(c.breakers...); got != c.events {
			t.Errorf("step %d made %d events, want %d", n, got, c.events)
		}
	}
}

func TestEntriesThatAreNotOursAreRefused(t *testing.T) {
	t.Parallel()

	for _, e := range []bus.KVEntry{
		{Key: "llm.a", Value: []byte("hello")},
		{Key: "llm.a", Value: nil},
		entry("llm.b", Instance{Component: "llm", ID: "a"}),
		entry("llm", Instance{Component: "llm"}),
		entry("llm.a.b", Instance{Component: "llm", ID: "a.b"}),
	} {
		v := newView()
		if events, err := v.apply(bus.KVEvent{Kind: bus.KVSet, Entry: e}, time.Time{}); err == nil || len(events)+len(v.known) > 0 {
			t.Errorf("%s %q: %v, %v", e.Key, e.Value, events, err)
		}
	}
}
