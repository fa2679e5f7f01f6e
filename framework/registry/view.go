package registry

import (
	"maps"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// view is the copy of the registry: what a watch has told so far. It has no clock, no lock and no bus.
type view struct {
	known map[string]known // by key
	// missing are the keys that a new watch has not confirmed yet; nil when it has told all that is there.
	missing map[string]struct{}
}

// known is an instance and when it was last heard of, by this machine's clock.
type known struct {
	instance Instance
	heard    time.Time
}

func newView() *view { return &view{known: map[string]known{}} }

// reopen begins anew: from here on the watch tells what is there, up to its end of the present keys.
func (v *view) reopen() {
	v.missing = make(map[string]struct{}, len(v.known))
	for key := range v.known {
		v.missing[key] = struct{}{}
	}
}

// apply takes in one step of a watch and returns what has changed by it.
func (v *view) apply(e bus.KVEvent, now time.Time) ([]Event, error) {
	switch e.Kind {
	case bus.KVSynced:
		return v.synced(), nil
	case bus.KVGone:
		delete(v.missing, e.Entry.Key)

		return v.gone(e.Entry.Key), nil
	default:
		i, err := decode(e.Entry)
		if err != nil {
			return nil, err
		}

		delete(v.missing, e.Entry.Key)

		return v.set(e.Entry.Key, i, now), nil
	}
}

func (v *view) set(key string, i Instance, now time.Time) []Event {
	before, there := v.known[key]
	if i.State == Terminated {
		return v.goodbye(key, i, there)
	}

	v.known[key] = known{instance: i, heard: now}

	switch {
	case !there:
		return []Event{{Kind: Joined, Instance: i}}
	case before.instance.Run != i.Run:
		return []Event{farewell(before.instance), {Kind: Joined, Instance: i}}
	case before.instance.State != Failed && i.State == Failed:
		return []Event{{Kind: Broke, Instance: i}}
	case same(before.instance, i):
		return nil
	default:
		return []Event{{Kind: Changed, Instance: i}}
	}
}

// goodbye ends an instance that says it has ended; its entry stays a little longer, so that every watch sees it.
func (v *view) goodbye(key string, i Instance, there bool) []Event {
	if !there {
		return nil
	}

	delete(v.known, key)

	return []Event{{Kind: Left, Instance: i}}
}

func (v *view) gone(key string) []Event {
	before, there := v.known[key]
	if !there {
		return nil
	}

	delete(v.known, key)

	return []Event{farewell(before.instance)}
}

// synced ends the present keys: what was not among them has left while nobody watched.
func (v *view) synced() []Event {
	events := make([]Event, 0, len(v.missing))
	for key := range v.missing {
		events = append(events, Event{Kind: Left, Instance: v.known[key].instance})
		delete(v.known, key)
	}

	v.missing = nil

	return events
}

// farewell is what the end of an entry means: an instance that was at work and said nothing has broken down.
func farewell(i Instance) Event {
	if i.State == Ready || i.State == Initializing {
		return Event{Kind: Broke, Instance: i, Gone: true}
	}

	return Event{Kind: Left, Instance: i}
}

func equalMaps[V comparable](a, b map[string]V) bool { return maps.Equal(a, b) }
