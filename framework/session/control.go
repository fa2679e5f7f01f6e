package session

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/subjects"
)

// Cancel is an event of the control log: work of the session is to end.
type Cancel struct {
	// Root is the turn that is cancelled, with everything that follows from it; empty for every turn that was posted
	// before the event.
	Root string `json:"root,omitempty"`
	// Reason is told to every reader of the streams that end.
	Reason string `json:"reason,omitempty"`
	// At is where the event stands in the control log.
	At Place `json:"-"`
}

// Place is a place in a session's control log: how many events of a life of the log are before it. The zero value is the
// beginning of a log that is empty.
type Place struct {
	// Index counts the events from 0.
	Index uint64
	// Life is the life of the log; see bus.Frame. Empty where the log was empty, and in what older programs stored.
	Life string
}

// Applies reports whether a cancel is about a turn with this root that was posted when the control log ended at mark.
// present is the life that the log is in now: what was posted when it was in an earlier one is older than all its events.
func (c Cancel) Applies(root string, mark Place, present string) bool {
	switch {
	case c.Root != "":
		return c.Root == root
	case c.At.Life == mark.Life, mark.Life == "" && mark.Index > 0:
		return c.At.Index >= mark.Index
	default:
		return c.At.Life == present
	}
}

// Post stores a cancel and returns the place behind it, which is the mark of a turn that is posted next. It returns after
// the bus stored it; the turns end soon after. Repeating it is harmless.
func Post(ctx context.Context, store *stream.Store, session string, c Cancel) (Place, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return Place{}, fmt.Errorf("encode cancel: %w", err)
	}

	end, err := store.Share(ctx, controlID(session), body)
	if err != nil {
		return Place{}, fmt.Errorf("cancel in session %s: %w", session, err)
	}

	return Place{Index: end.Index, Life: end.Life}, nil
}

// Mark returns where the session's control log ends; a turn that is posted now keeps it, so that older cancels of the
// whole session don't touch it.
func Mark(ctx context.Context, store *stream.Store, session string) (Place, error) {
	end, err := store.End(ctx, controlID(session))
	if err != nil {
		return Place{}, fmt.Errorf("read control log of session %s: %w", session, err)
	}

	return Place{Index: end.Index, Life: end.Life}, nil
}

// Watch follows the control log of one session.
type Watch struct {
	known  []Cancel
	reader *stream.Reader
}

// NewWatch reads the cancels that are there and begins to follow the log behind them. Whoever opens a watch must close
// it.
func NewWatch(ctx context.Context, store *stream.Store, session string) (*Watch, error) {
	reader, chunks, err := store.OpenShared(ctx, controlID(session))
	if err != nil {
		return nil, fmt.Errorf("watch session %s: %w", session, err)
	}

	w := &Watch{reader: reader}

	for _, chunk := range chunks {
		if c, ok := decode(chunk, reader.Cursor().Life); ok {
			w.known = append(w.known, c)
		}
	}

	return w, nil
}

// Known returns the cancels that were there when the watch began.
func (w *Watch) Known() []Cancel { return w.known }

// Next returns the next cancel that came after Known. It blocks until there is one or ctx ends. When the control log has
// expired and begins anew, it goes on with that.
func (w *Watch) Next(ctx context.Context) (Cancel, error) {
	for {
		e, err := w.reader.Next(ctx)
		if err != nil {
			return Cancel{}, fmt.Errorf("follow control log: %w", err)
		}

		if c, ok := decode(e.Chunk, e.Cursor.Life); ok {
			return c, nil
		}
	}
}

// Close ends the watch. It is idempotent.
func (w *Watch) Close() { w.reader.Close() }

// decode reads an event. One that can't be read must not hold up the session.
func decode(chunk stream.Chunk, life string) (c Cancel, ok bool) {
	if json.Unmarshal(chunk.Data, &c) != nil {
		return c, false
	}

	c.At = Place{Index: chunk.Index, Life: life}

	return c, true
}

func controlID(session string) bus.StreamID {
	return bus.StreamID{Session: session, Stream: subjects.ControlLog}
}
