package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Kept is what a log holds of a stream at one moment, from its beginning on.
type Kept struct {
	// Data is the visible chunks, joined: all of them, or as much as was asked for.
	Data []byte
	// Type is what the data is.
	Type bus.DataType
	// State says how the stream ended, or bus.Active.
	State bus.State
	// Cut says that the stream holds more than Data.
	Cut bool
}

// Kept returns what a stream holds now, of which at most limit bytes, and does not wait for more. It fails with
// [ErrExpired] when the log doesn't hold the stream's beginning, also when there never was one.
func (s *Store) Kept(ctx context.Context, id bus.StreamID, limit int) (Kept, error) {
	last, err := s.last(ctx, id)
	if err == nil && last == nil {
		err = ErrExpired
	}
	if err != nil {
		return Kept{}, fmt.Errorf("read stream %v: %w", id, err)
	}
	k := keeping{limit: limit}
	for e, err := range s.log.Read(ctx, last, bus.Cursor{}) {
		if err == nil {
			err = k.add(e)
		}
		if errors.Is(err, bus.ErrNotFound) {
			err = ErrExpired
		}
		if err != nil {
			return Kept{}, fmt.Errorf("read stream %v: %w", id, err)
		}
		if k.size > limit && e.Attempt == last.Attempt {
			break // nothing that follows can take back what is kept
		}
	}

	return Kept{Data: k.data, Type: last.Type, State: last.State, Cut: k.size > limit}, nil
}

// keeping joins a stream's visible chunks as far as a limit.
type keeping struct {
	merge merge
	limit int
	data  []byte
	size  int   // of all visible chunks
	ends  []int // where each of them ends
}

func (k *keeping) add(e *bus.Entry) error {
	switch k.merge.fit(&e.Frame) {
	case fitGap, fitOther:
		return fmt.Errorf("entries between %v and %v: %w", k.merge.place, e.End(), ErrExpired)
	case fitDuplicate:
		return nil
	case fitNext:
	}
	k.merge.load(&e.Frame)
	for ev, ok := k.merge.next(); ok; ev, ok = k.merge.next() {
		switch ev.Kind {
		case KindSuperseded:
			k.ends, k.size = k.ends[:ev.From], 0
			if ev.From > 0 {
				k.size = k.ends[ev.From-1]
			}
			k.data = k.data[:min(k.size, len(k.data))]
		case KindChunk:
			k.data = append(k.data, ev.Chunk.Data[:min(len(ev.Chunk.Data), k.limit-len(k.data))]...)
			k.size += len(ev.Chunk.Data)
			k.ends = append(k.ends, k.size)
		case KindEnd, KindOpened:
		}
	}

	return nil
}
