package history

import (
	"bytes"
	"fmt"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// view is what a reader's caller holds while the events are replayed.
type view struct {
	text   []stream.Chunk
	cursor bus.Cursor
	floor  int // attempt from which the next chunk must come, at least
	ended  bool
}

// check replays a reader's events.
func (r *Reader) check(s *stored) []error {
	var v view
	for i, ev := range r.events {
		if err := v.apply(ev, s); err != nil {
			return []error{fmt.Errorf("reader %s: event %d: %w", r.name, i, err)}
		}
	}
	if !v.ended {
		return []error{fmt.Errorf("reader %s did not reach the end: %w", r.name, ErrUnfinished)}
	}
	if err := same(v.text, s.text); err != nil {
		return []error{fmt.Errorf("reader %s: final text: %w", r.name, err)}
	}

	return nil
}

func (v *view) apply(ev stream.Event, s *stored) error {
	if v.ended {
		return fmt.Errorf("kind %d after the end: %w", ev.Kind, ErrDuplicated)
	}
	if !v.cursor.Before(ev.Cursor) {
		return fmt.Errorf("cursor %v does not follow %v: %w", ev.Cursor, v.cursor, ErrDuplicated)
	}
	v.cursor = ev.Cursor
	switch ev.Kind {
	case stream.KindChunk:
		return v.chunk(ev.Chunk, s)
	case stream.KindSuperseded:
		return v.supersede(ev)
	case stream.KindEnd:
		v.ended = true
		if s.last == nil || ev.End.State != s.last.State {
			return fmt.Errorf("ended as %s: %w", ev.End.State, ErrDiverged)
		}

		return nil
	default:
		return fmt.Errorf("kind %d: %w", ev.Kind, ErrDiverged)
	}
}

func (v *view) chunk(c stream.Chunk, s *stored) error {
	switch {
	case c.Index > uint64(len(v.text)):
		return fmt.Errorf("chunk %d after %d chunks: %w", c.Index, len(v.text), ErrLost)
	case c.Index < uint64(len(v.text)):
		return fmt.Errorf("chunk %d after %d chunks: %w", c.Index, len(v.text), ErrDuplicated)
	case c.Attempt < v.floor:
		return fmt.Errorf("chunk %d of attempt %d after attempt %d: %w", c.Index, c.Attempt, v.floor, ErrDisordered)
	case !bytes.Equal(c.Data, s.chunks[place{uint32(c.Attempt), c.Index}]):
		return fmt.Errorf("chunk %d of attempt %d is not what is stored: %w", c.Index, c.Attempt, ErrDiverged)
	}
	v.floor = c.Attempt
	v.text = append(v.text, c)

	return nil
}

// supersede checks that chunks which were delivered are replaced, by a later attempt.
func (v *view) supersede(ev stream.Event) error {
	switch {
	case ev.From >= uint64(len(v.text)):
		return fmt.Errorf("superseded from %d, only %d chunks were delivered: %w", ev.From, len(v.text), ErrDisordered)
	case int(ev.Cursor.Attempt) <= v.floor:
		return fmt.Errorf("superseded by attempt %d after attempt %d: %w", ev.Cursor.Attempt, v.floor, ErrDisordered)
	}
	v.floor = int(ev.Cursor.Attempt)
	v.text = v.text[:ev.From]

	return nil
}

// same compares two texts.
func same(got, want []stream.Chunk) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d chunks, not %d: %w", len(got), len(want), ErrLost)
	}
	for i := range got {
		if got[i].Attempt != want[i].Attempt || !bytes.Equal(got[i].Data, want[i].Data) {
			return fmt.Errorf("chunk %d is of attempt %d, not %d, or differs: %w", i, got[i].Attempt, want[i].Attempt, ErrDiverged)
		}
	}

	return nil
}
