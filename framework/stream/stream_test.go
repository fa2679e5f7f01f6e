package stream_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// setup returns a store on a bus in memory.
func setup(t *testing.T, cfg stream.Config) *stream.Store {
	t.Helper()
	b := membus.New(membus.Config{})
	s := stream.NewStore(b, b.Info(), cfg)
	t.Cleanup(func() {
		s.Close()
		_ = b.Close(t.Context())
	})

	return s
}

func open(t *testing.T, s *stream.Store, cfg stream.WriterConfig) *stream.Writer {
	t.Helper()
	if cfg.Session == "" {
		cfg.Session = "session"
	}
	if cfg.Info.Stream == "" {
		cfg.Info.Stream = "stream"
	}
	w, err := s.OpenWriter(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}

	return w
}

func send(t *testing.T, w *stream.Writer, chunks ...string) {
	t.Helper()
	for _, c := range chunks {
		if err := w.Send(t.Context(), []byte(c)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func end(t *testing.T, w *stream.Writer) {
	t.Helper()
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, s *stream.Store, id bus.StreamID, from bus.Cursor) *stream.Reader {
	t.Helper()
	r, err := s.OpenReader(t.Context(), id, from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)

	return r
}

// next returns the next n events as text: chunks as they are, "<From" for superseded, "completed" and so on for ends.
func next(t *testing.T, r *stream.Reader, n int) string {
	t.Helper()
	var parts []string
	for range n {
		ev, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, show(ev))
	}

	return strings.Join(parts, " ")
}

func show(ev stream.Event) string {
	switch ev.Kind {
	case stream.KindChunk:
		return string(ev.Chunk.Data)
	case stream.KindSuperseded:
		return fmt.Sprintf("<%d", ev.From)
	case stream.KindEnd:
		return string(ev.End.State)
	default:
		return "opened"
	}
}

func TestChunksArriveInOrderLiveAndStored(t *testing.T) {
	t.Parallel()
	s := setup(t, stream.Config{})
	w := open(t, s, stream.WriterConfig{})
	live := read(t, s, w.ID(), bus.Cursor{})
	send(t, w, "a", "", "c")
	w.SetMeta("tokens", "3")
	end(t, w)
	end(t, w)
	for _, r := range []*stream.Reader{live, read(t, s, w.ID(), bus.Cursor{})} {
		if got := next(t, r, 4); got != "a  c completed" {
			t.Errorf("events %q", got)
		}
		if _, err := r.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("after the end: %v", err)
		}
	}
	if err := w.Fail(t.Context(), "late"); !errors.Is(err, stream.ErrEnded) {
		t.Errorf("fail after close: %v", err)
	}
	if err := w.Send(t.Context(), nil); !errors.Is(err, stream.ErrEnded) {
		t.Errorf("send after close: %v", err)
	}
	again := stream.WriterConfig{Session: "session", Info: stream.Info{Stream: "stream"}}
	if _, err := s.OpenWriter(t.Context(), again); !errors.Is(err, stream.ErrEnded) {
		t.Errorf("open after close: %v", err)
	}
}

func TestRestartSupersedes(t *testing.T) {
	t.Parallel()
	s := setup(t, stream.Config{})
	w1 := open(t, s, stream.WriterConfig{})
	live := read(t, s, w1.ID(), bus.Cursor{})
	send(t, w1, "a", "b")
	if got := next(t, live, 2); got != "a b" {
		t.Fatal(got)
	}
	w2 := open(t, s, stream.WriterConfig{})
	send(t, w2, "A")
	if err := w1.Send(t.Context(), []byte("zombie")); err != nil {
		t.Fatal(err)
	}
	if err := w1.Flush(t.Context()); !errors.Is(err, stream.ErrFenced) {
		t.Errorf("zombie: %v", err)
	}
	end(t, w2)
	if got := next(t, live, 3); got != "<0 A completed" {
		t.Error(got)
	}
	late := read(t, s, w1.ID(), bus.Cursor{})
	if got := next(t, late, 2); got != "A completed" {
		t.Error(got)
	}
}

func TestResumeKeepsPartialText(t *testing.T) {
	t.Parallel()
	s := setup(t, stream.Config{})
	w1 := open(t, s, stream.WriterConfig{})
	send(t, w1, "a", "b")
	w1.Abandon()
	w2 := open(t, s, stream.WriterConfig{Policy: stream.Resume})
	partial, err := w2.Partial(t.Context())
	if err != nil || len(partial) != 2 || string(partial[1].Data) != "b" {
		t.Errorf("partial %v, %v", partial, err)
	}
	send(t, w2, "c")
	end(t, w2)
	text, err := read(t, s, w2.ID(), bus.Cursor{}).ReadAll(t.Context())
	if string(text) != "abc" || err != nil {
		t.Errorf("text %q, %v", text, err)
	}
}

func TestRewindKeepsTheBeginning(t *testing.T) {
	t.Parallel()
	for keep, want := range map[uint64]string{0: "<0 C completed", 1: "<1 C completed", 2: "C completed"} {
		s := setup(t, stream.Config{})
		w1 := open(t, s, stream.WriterConfig{})
		live := read(t, s, w1.ID(), bus.Cursor{})
		send(t, w1, "a", "b")
		w1.Abandon()
		if got := next(t, live, 2); got != "a b" {
			t.Fatal(got)
		}
		w2 := open(t, s, stream.WriterConfig{Policy: stream.Resume})
		if err := w2.Rewind(keep); err != nil {
			t.Fatal(err)
		}
		if partial, err := w2.Partial(t.Context()); uint64(len(partial)) != keep || err != nil {
			t.Errorf("keep %d: partial %v, %v", keep, partial, err)
		}
		send(t, w2, "C")
		end(t, w2)
		if got := next(t, live, strings.Count(want, " ")+1); got != want {
			t.Errorf("keep %d: %s, want %s", keep, got, want)
		}
		text, err := read(t, s, w2.ID(), bus.Cursor{}).ReadAll(t.Context())
		if string(text) != "ab"[:keep]+"C" || err != nil {
			t.Errorf("keep %d: text %q, %v", keep, text, err)
		}
	}
}

func TestRewindIsRefusedWhenItIsTooLateOrTooFar(t *testing.T) {
	t.Parallel()
	s := setup(t, stream.Config{})
	w1 := open(t, s, stream.WriterConfig{})
	if err := w1.Rewind(0); err != nil {
		t.Errorf("the first attempt: %v", err)
	}
	send(t, w1, "a", "b")
	w1.Abandon()
	restarted := open(t, s, stream.WriterConfig{})
	if err := restarted.Rewind(1); !errors.Is(err, bus.ErrInvalid) {
		t.Errorf("under restart nothing is there to keep: %v", err)
	}
	w2 := open(t, s, stream.WriterConfig{Policy: stream.Resume})
	if err := w2.Rewind(3); !errors.Is(err, bus.ErrInvalid) {
		t.Errorf("too far: %v", err)
	}
	send(t, w2, "c")
	if err := w2.Rewind(0); !errors.Is(err, bus.ErrInvalid) {
		t.Errorf("after a chunk: %v", err)
	}
	end(t, w2)
	if err := w2.Rewind(3); !errors.Is(err, bus.ErrInvalid) {
		t.Errorf("after the end: %v", err)
	}
}

func TestFailPolicyEndsTheStream(t *testing.T) {
	t.Parallel()
	s := setup(t, stream.Config{})
	w1 := open(t, s, stream.WriterConfig{})
	send(t, w1, "a", "b")
	w1.Abandon()
	cfg := stream.WriterConfig{Session: "session", Info: stream.Info{Stream: "stream"}, Policy: stream.Fail}
	_, err := s.OpenWriter(t.Context(), cfg)
	var ended *stream.EndedError
	if !errors.As(err, &ended) || ended.End.Reason != "instance lost" {
		t.Errorf("open: %v", err)
	}
	text, err := read(t, s, w1.ID(), bus.Cursor{}).ReadAll(t.Context())
	var failed *stream.EndError
	if string(text) != "ab" || !errors.As(err, &failed) || failed.End.State != bus.Failed {
		t.Errorf("text %q, %v", text, err)
	}
}

func TestLargeChunksTravelInParts(t *testing.T) {
	t.Parallel()
	b := membus.New(membus.Config{MaxBody: 1000})
	s := stream.NewStore(b, b.Info(), stream.Config{MaxChunk: 10_000})
	t.Cleanup(s.Close)
	w := open(t, s, stream.WriterConfig{Info: stream.Info{Type: bus.Binary}})
	live := read(t, s, w.ID(), bus.Cursor{})
	chunks := [][]byte{bytes.Repeat([]byte("x"), 2500), []byte("small"), bytes.Repeat([]byte("y"), 10_000)}
	for _, c := range chunks {
		if err := w.Send(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	var tooLarge *stream.TooLargeError
	if err := w.Send(t.Context(), make([]byte, 10_001)); !errors.As(err, &tooLarge) || !errors.Is(err, stream.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	end(t, w)
	for _, r := range []*stream.Reader{live, read(t, s, w.ID(), bus.Cursor{})} {
		var got [][]byte
		for c, err := range r.Chunks(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, c.Data)
		}
		if diff := cmp.Diff(chunks, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestEveryCursorResumesBehindItsEvent(t *testing.T) {
	t.Parallel()
	s := setup(t, stream.Config{})
	w := open(t, s, stream.WriterConfig{})
	r := read(t, s, w.ID(), bus.Cursor{})
	send(t, w, "a", "b")
	want := []string{next(t, r, 1), next(t, r, 1)}
	cursors := []bus.Cursor{{}, {Attempt: 1, Index: 1}, r.Cursor()}
	w2 := open(t, s, stream.WriterConfig{})
	send(t, w2, "A", "B")
	end(t, w2)
	for range 4 {
		want = append(want, next(t, r, 1))
		cursors = append(cursors, r.Cursor())
	}
	for i, c := range cursors[1:] {
		var got []string
		resumed := read(t, s, w.ID(), c)
		for {
			ev, err := resumed.Next(t.Context())
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, show(ev))
		}
		expected := append([]string{"<0"}, want[3:]...)
		if i >= 2 {
			expected = want[i+1:]
		}
		if diff := cmp.Diff(strings.Join(expected, " "), strings.Join(got, " ")); diff != "" {
			t.Errorf("from %v: %s", c, diff)
		}
	}
}

func TestFollowerReadsASessionInOrder(t *testing.T) {
	t.Parallel()
	s := setup(t, stream.Config{})
	f, err := s.Follow(t.Context(), stream.FollowConfig{Session: "session"})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	write := func(name, target string, chunks ...string) {
		w := open(t, s, stream.WriterConfig{Info: stream.Info{Stream: name, Target: target}})
		send(t, w, chunks...)
		end(t, w)
	}
	write("in1", "llm", "hidden")
	write("out1", "", "a", "b")
	write("out2", "output", "c")
	want := []string{"out1 opened", "out1 a", "out1 b", "out1 completed", "out2 opened", "out2 c", "out2 completed"}
	var events []stream.SessionEvent
	for i := range want {
		ev, err := f.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := ev.Info.Stream + " " + show(ev.Event); got != want[i] {
			t.Errorf("event %d: %s, want %s", i, got, want[i])
		}
		events = append(events, ev)
	}
	for i, ev := range events[:len(events)-1] {
		from, err := stream.ParseSessionCursor(ev.Cursor.String())
		if err != nil {
			t.Fatal(err)
		}
		g, err := s.Follow(t.Context(), stream.FollowConfig{Session: "session", From: from})
		if err != nil {
			t.Fatal(err)
		}
		got, err := g.Next(t.Context())
		g.Close()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(events[i+1], got); diff != "" {
			t.Errorf("behind event %d: %s", i, diff)
		}
	}
}
