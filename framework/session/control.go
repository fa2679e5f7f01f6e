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
	// Index is the event's place in the control log, counted from 0.
	Index uint64 `json:"-"`
}

// Applies reports whether the event is about a turn with this root that was posted when the control log held mark
// events.
func (c Cancel) Applies(root string, mark uint64) bool {
	if c.Root != "" {
		return c.Root == root
	}

	return c.Index >= mark
}

// Post stores a cancel and returns its index. It returns after the bus stored it; the turns end soon after. Repeating
// it is harmless.
func Post(ctx context.Context, store *stream.Store, session string, c Cancel) (uint64, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return 0, fmt.Errorf("encode cancel: %w", err)
	}

	index, err := store.Share(ctx, controlID(session), body)
	if err != nil {
		return 0, fmt.Errorf("cancel in session %s: %w", session, err)
	}

	return index, nil
}

// Mark returns how many events the session's control log holds; a turn that is posted now keeps it, so that older
// cancels of the whole session don't touch it.
func Mark(ctx context.Context, store *stream.Store, session string) (uint64, error) {
	end, err := store.End(ctx, controlID(session))
	if err != nil {
		return 0, fmt.Errorf("read control log of session %s: %w", session, err)
	}

	return end.Index, nil
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
		c, err := decode(chunk)
		if err != nil {
			w.Close()

			return nil, err
		}

		w.known = append(w.known, c)
	}

	return w, nil
}

// Known returns the cancels that were there when the watch began.
func (w *Watch) Known() []Cancel { return w.known }

// Next returns the next cancel that came after Known. It blocks until there is one or ctx ends.
func (w *Watch) Next(ctx context.Context) (Cancel, error) {
	e, err := w.reader.Next(ctx)
	if err != nil {
		return Cancel{}, fmt.Errorf("follow control log: %w", err)
	}

	return decode(e.Chunk)
}

// Close ends the watch. It is idempotent.
func (w *Watch) Close() { w.reader.Close() }

func decode(chunk stream.Chunk) (Cancel, error) {
	var c Cancel
	if err := json.Unmarshal(chunk.Data, &c); err != nil {
		return c, fmt.Errorf("decode event %d of a control log: %w", chunk.Index, err)
	}

	c.Index = chunk.Index

	return c, nil
}

func controlID(session string) bus.StreamID {
	return bus.StreamID{Session: session, Stream: subjects.ControlLog}
}
