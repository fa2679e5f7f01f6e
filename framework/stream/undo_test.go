package stream_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/subjects"
)

// undoLog is a log of streams that can lose its last entries, as a server does that is killed before it has written what
// it acknowledged. An entry's position is its place in its log, so that those that come after have the positions of those
// that were lost, as on Redis.
type undoLog struct {
	mu        sync.Mutex
	logs      map[bus.StreamID][]*bus.Entry
	followers map[*func(*bus.Entry)]bus.StreamID
}

func newUndoLog() *undoLog {
	return &undoLog{logs: map[bus.StreamID][]*bus.Entry{}, followers: map[*func(*bus.Entry)]bus.StreamID{}}
}

func (l *undoLog) Append(_ context.Context, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	log := l.logs[f.ID]
	if n := len(log); n == 0 && after != nil ||
		n > 0 && (after == nil || log[n-1].Position != after.Position || log[n-1].Writer != after.Writer) {
		return nil, bus.ErrConflict
	}

	e := &bus.Entry{Frame: *f, Position: bus.Position{Minor: uint64(len(log) + 1)}}
	e.Lengths, e.Body = slices.Clone(f.Lengths), slices.Clone(f.Body)
	l.logs[f.ID] = append(log, e)
	l.tell(f.ID, e)

	return e, nil
}

func (l *undoLog) tell(id bus.StreamID, e *bus.Entry) {
	for deliver, of := range l.followers {
		if of == id {
			(*deliver)(e)
		}
	}
}

func (l *undoLog) Last(_ context.Context, id bus.StreamID) (*bus.Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	if log := l.logs[id]; len(log) > 0 {
		return log[len(log)-1], nil
	}

	return nil, nil
}

func (l *undoLog) Read(_ context.Context, last *bus.Entry, _ bus.Cursor) iter.Seq2[*bus.Entry, error] {
	return func(yield func(*bus.Entry, error) bool) {
		l.mu.Lock()
		log := slices.Clone(l.logs[last.ID])
		l.mu.Unlock()

		n := int(last.Position.Minor)
		if n > len(log) || log[n-1].Writer != last.Writer {
			yield(nil, bus.ErrNotFound)

			return
		}

		for _, e := range log[:n] {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (l *undoLog) Follow(_ context.Context, id bus.StreamID, deliver func(*bus.Entry)) (func(), error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	l.followers[&deliver] = id

	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()

		delete(l.followers, &deliver)
	}, nil
}

// undo loses the last n entries of a log (negative: all), and breaks the connections of those who follow it.
func (l *undoLog) undo(id bus.StreamID, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()

	if n < 0 {
		n = len(l.logs[id])
	}

	l.logs[id] = l.logs[id][:len(l.logs[id])-n]
	l.tell(id, nil)
}

func answered(t *testing.T, s *stream.Store, id, text string) {
	t.Helper()

	w := open(t, s, stream.WriterConfig{Info: stream.Info{Stream: id, Component: "llm"}})
	send(t, w, text)
	end(t, w)
}

// What a server undid after a follower had seen it is replaced by other streams, announced at the same places. The follower
// must see them, or be told that it stands where it can't go on (then it gets a resync).
func TestFollowerSeesWhatReplacesWhatWasUndone(t *testing.T) {
	t.Parallel()

	timeline := bus.StreamID{Session: "session", Stream: subjects.Timeline}

	for name, c := range map[string]struct {
		again  []string // what is written after "second" and "third" were undone, before the follower looks
		resume bool     // the follower leaves and comes back with its cursor
	}{
		"fewer":            {again: []string{"other"}},
		"as many":          {again: []string{"other", "another"}},
		"more":             {again: []string{"other", "another", "last"}},
		"fewer, resumed":   {again: []string{"other"}, resume: true},
		"as many, resumed": {again: []string{"other", "another"}, resume: true},
		"more, resumed":    {again: []string{"other", "another", "last"}, resume: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			synctest.Test(t, func(t *testing.T) {
				log := newUndoLog()
				s := stream.NewStore(log, bus.Info{}, stream.Config{})
				defer s.Close()

				for _, id := range []string{"first", "second", "third"} {
					answered(t, s, id, id)
				}

				f, err := s.Follow(t.Context(), stream.FollowConfig{Session: "session"})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { f.Close() }()

				var at stream.SessionCursor

				for at == (stream.SessionCursor{}) {
					ev, err := f.Next(t.Context())
					if err != nil {
						t.Fatal(err)
					}

					if ev.Info.Stream == "third" && ev.Event.Kind == stream.KindEnd {
						at = ev.Cursor
					}
				}

				log.undo(timeline, 2)

				for _, id := range []string{"second", "third"} {
					log.undo(bus.StreamID{Session: "session", Stream: id}, -1)
				}

				if c.resume {
					f.Close()
				}

				for _, id := range c.again {
					answered(t, s, id, id)
				}

				if c.resume {
					if f, err = s.Follow(t.Context(), stream.FollowConfig{Session: "session", From: at}); err != nil {
						t.Fatal(err)
					}
				}

				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()

				for {
					ev, err := f.Next(ctx)
					if errors.Is(err, stream.ErrExpired) {
						return // it is told
					}

					if err != nil {
						t.Fatalf("neither saw what replaces what was undone nor was told: %v", err)
					}

					if ev.Info.Stream == c.again[0] {
						return
					}

					if ev.Info.Stream == "last" {
						t.Fatalf("passed over %q without a word", c.again[0])
					}
				}
			})
		})
	}
}

// An attempt that was undone and one that took its number are two texts: a reader of the first must not be shown the rest
// of the second as if they were one.
func TestReaderDoesNotMixAttemptsOfOneNumber(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		log := newUndoLog()
		s := stream.NewStore(log, bus.Info{}, stream.Config{})
		defer s.Close()

		id := bus.StreamID{Session: "session", Stream: "stream"}
		w := open(t, s, stream.WriterConfig{Info: stream.Info{Stream: id.Stream}, Unlisted: true})
		send(t, w, "a ")
		send(t, w, "b ")

		r, err := s.OpenReader(t.Context(), id, bus.Cursor{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()

		for range 2 {
			if _, err := r.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
		}

		log.undo(id, -1)

		w = open(t, s, stream.WriterConfig{Info: stream.Info{Stream: id.Stream}, Unlisted: true})
		for _, text := range []string{"other ", "words ", "these "} {
			send(t, w, text)
		}

		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()

		ev, err := r.Next(ctx)
		if !errors.Is(err, stream.ErrExpired) && (err != nil || ev.Kind != stream.KindSuperseded) {
			t.Errorf("the reader is shown %q (%v) behind %q", ev.Chunk.Data, err, "a b ")
		}
	})
}
