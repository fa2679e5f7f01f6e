package registry

import (
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// view is the copy of the registry: what a watch has told so far. It has no clock, no lock and no bus.
type view struct {
	known map[string]known // by key
	// overrides are what operators have said, by key.
	overrides map[string]Override
	// missing are the keys that a new watch has not confirmed yet; nil when it has told all that is there.
	missing map[string]struct{}
}

// known is an instance and when it was last heard of, by this machine's clock.
type known struct {
	instance Instance
	heard    time.Time
}

func newView() *view { return &view{known: map[string]known{}, overrides: map[string]Override{}} }

// reopen begins anew: from here on the watch tells what is there, up to its end of the present keys.
func (v *view) reopen() {
	v.missing = make(map[string]struct{}, len(v.known)+len(v.overrides))
	for key := range v.known {
		v.missing[key] = struct{}{}
	}

	for key := range v.overrides {
		v.missing[key] = struct{}{}
	}
}

// apply takes in one step of a watch and returns what has changed by it for instances.
func (v *view) apply(e bus.KVEvent, now time.Time) ([]Event, error) {
	switch e.Kind {
	case bus.KVSynced:
		return v.synced(), nil
	case bus.KVGone:
		delete(v.missing, e.Entry.Key)

		return v.gone(e.Entry.Key), nil
	default:
		if subjects.IsBreakerKey(e.Entry.Key) {
			return nil, v.override(e.Entry)
		}

		i, err := decode(e.Entry)
		if err != nil {
			return nil, err
		}

		delete(v.missing, e.Entry.Key)

		return v.set(e.Entry.Key, i, now), nil
	}
}

func (v *view) override(e bus.KVEntry) error {
	o, err := decodeOverride(e)
	if err != nil {
		return err
	}

	delete(v.missing, e.Key)
	v.overrides[e.Key] = o

	return nil
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
	delete(v.overrides, key)

	before, there := v.known[key]
	if !there {
		return nil
	}

	delete(v.known, key)

	return []Event{farewell(before.instance)}
}

// synced ends the present keys: what was not among them has left while nobody watched.
func (v *view) synced() []Event {
	var events []Event

	for key := range v.missing {
		if k, instance := v.known[key]; instance {
			events = append(events, Event{Kind: Left, Instance: k.instance})
		}

		delete(v.known, key)
		delete(v.overrides, key)
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
