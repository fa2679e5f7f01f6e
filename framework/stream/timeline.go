package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// metaTimeline is where the first frame of a stream says at which position of the timeline the stream was announced.
// An announcement that the first frame does not confirm was left by a writer that died in between.
const metaTimeline = "timeline"

// timelineID names a session's timeline.
func timelineID(session string) bus.StreamID {
	return bus.StreamID{Session: session, Stream: subjects.Timeline}
}

// announce puts the stream into its session's timeline before its very first frame is stored.
func (w *Writer) announce(ctx context.Context, f *bus.Frame) error {
	if w.begun || w.tail != nil || w.cfg.Unlisted {
		return nil
	}
	ctx, cancel := w.store.limit(ctx)
	defer cancel()
	position, err := w.store.announce(ctx, w.cfg.Session, w.cfg.Info, w.timeline)
	if err != nil {
		return fmt.Errorf("announce stream: %w", err)
	}
	if f.Meta == nil {
		f.Meta = make(map[string]string, 1)
	}
	f.Meta[metaTimeline] = strconv.FormatUint(position, 10)

	return nil
}

// announce appends to a session's timeline, whose end was seen a while ago, and returns the position, counted from 1. A
// slot is held.
func (s *Store) announce(ctx context.Context, session string, info Info, seen *glance) (uint64, error) {
	body, err := json.Marshal(info)
	if err != nil {
		return 0, fmt.Errorf("encode: %w", err)
	}
	index, err := s.share(ctx, timelineID(session), body, seen)

	return index + 1, err
}
