package registry

import (
	"context"
	"iter"
	"sync"
)

// Event is a change in the registry.
type Event struct {
	Kind Kind
	// Instance is the one that the event is about, as it was last heard of. It is empty for Resync.
	Instance Instance
	// Gone says of a Broke event that the instance is no longer there; it may otherwise recover.
	Gone bool
	// All is everyone who is there, ordered by component and id; for Resync only.
	All []Instance
}

// Kind says what happened.
type Kind string

// The kinds of events.
const (
	// Joined: it is there.
	Joined Kind = "joined"
	// Left: it has said goodbye, or was gone when a broken watch was restored.
	Left Kind = "left"
	// Broke: it failed, and says so or has vanished without a word.
	Broke Kind = "failed"
	// Changed: it says something else than before, other than load and counters.
	Changed Kind = "changed"
	// Resync: this subscriber was too slow and has missed events; All is how things are now.
	Resync Kind = "resync"
)

// maxQueue is how many events wait for a subscriber before it gets a resync instead of them.
const maxQueue = 256

// Events yields Joined for everyone who is there and then each change, until ctx ends. A subscriber that falls more than
// 256 events behind gets one Resync in place of those; it holds up nobody.
func (r *Registry) Events(ctx context.Context) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		q := r.subscribe()
		defer r.unsubscribe(q)

		for {
			events := r.take(q)
			for _, e := range events {
				if ctx.Err() != nil || !yield(e) {
					return
				}
			}

			if len(events) > 0 {
				continue
			}

			select {
			case <-q.wake:
			case <-ctx.Done():
				return
			}
		}
	}
}

// queue is what waits for one subscriber.
type queue struct {
	mu       sync.Mutex
	events   []Event
	overflow bool
	wake     chan struct{} // holds one token while there may be something new
}

func (q *queue) push(events ...Event) {
	q.mu.Lock()
	defer q.mu.Unlock()

	if q.overflow || len(events) == 0 {
		return
	}

	if len(q.events)+len(events) > maxQueue {
		q.events, q.overflow = nil, true
	} else {
		q.events = append(q.events, events...)
	}

	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (r *Registry) subscribe() *queue {
	r.mu.Lock()
	defer r.mu.Unlock()

	q := &queue{wake: make(chan struct{}, 1)}
	for _, i := range r.find(Query{}) {
		q.events = append(q.events, Event{Kind: Joined, Instance: i})
	}

	r.queues[q] = struct{}{}

	return q
}

func (r *Registry) unsubscribe(q *queue) {
	r.mu.Lock()
	defer r.mu.Unlock()

	delete(r.queues, q)
}

// take returns what waits for a subscriber. Changes are pushed under the registry's lock, so a resync misses none.
func (r *Registry) take(q *queue) []Event {
	r.mu.RLock()
	defer r.mu.RUnlock()
	q.mu.Lock()
	defer q.mu.Unlock()

	events := q.events
	q.events = nil

	if q.overflow {
		q.overflow = false
		events = []Event{{Kind: Resync, All: r.find(Query{})}}
	}

	return events
}
