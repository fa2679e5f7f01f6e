package load

import (
	"context"
	"fmt"
	"sync"

	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// live collects what the bus tells of the answers of a session as it stores them.
type live struct {
	mu      sync.Mutex
	entries map[string][]*bus.Entry // by stream
	spans   map[string]check.Span   // by stream
	count   int
	stops   []func()
}

// follow begins to collect, before the turn is posted.
func (l *live) follow(ctx context.Context, log bus.Log, session, turn string) error {
	l.mu.Lock()
	if l.entries == nil {
		l.entries, l.spans = make(map[string][]*bus.Entry), make(map[string]check.Span)
	}
	l.mu.Unlock()
	// The names that the turns of the pipeline give to their outputs.
	said := subjects.Derive(turn, "llm", turn, relays)
	for _, id := range []string{said, subjects.Derive(turn, relays, said, "")} {
		stop, err := log.Follow(ctx, bus.StreamID{Session: session, Stream: id}, func(e *bus.Entry) {
			if e == nil {
				return // some are missing
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.entries[id] = append(l.entries[id], e)
			l.note(id)
		})
		if err != nil {
			return fmt.Errorf("follow stream: %w", err)
		}
		l.stops = append(l.stops, stop)
	}

	return nil
}

// note counts an entry of a stream. The lock is held.
func (l *live) note(id string) {
	l.count++
	span, known := l.spans[id]
	if !known {
		span.First = l.count
	}
	span.Last = l.count
	l.spans[id] = span
}

// end ends the collection and returns it.
func (l *live) end() map[string][]*bus.Entry {
	for _, stop := range l.stops {
		stop()
	}

	return l.entries
}
