package stream_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/subjects"
)

// callsBus writes down which logs are asked and appended to.
type callsBus struct {
	bus.Bus

	mu    sync.Mutex
	calls []string
}

func (b *callsBus) note(call string, id bus.StreamID) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.calls = append(b.calls, call+" "+id.Stream)
}

func (b *callsBus) Last(ctx context.Context, id bus.StreamID) (*bus.Entry, error) {
	b.note("last", id)

	return b.Bus.Last(ctx, id)
}

func (b *callsBus) Append(ctx context.Context, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	b.note("append", f.ID)

	return b.Bus.Append(ctx, f, after)
}

// count returns how often each call was made.
func (b *callsBus) count() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()

	counts := map[string]int{}
	for _, call := range b.calls {
		counts[call]++
	}

	return counts
}

// A whole stream whose id was just drawn takes its announcement and one frame and, but for the first of its session, one look
// at the timeline.
func TestWholeStreamTakesFewRoundTrips(t *testing.T) {
	t.Parallel()

	b := &callsBus{Bus: membus.New(membus.Config{})}

	s := stream.NewStore(b, b.Info(), stream.Config{})
	defer s.Close()

	cfg := listed("drawn", "llm")
	cfg.New = true
	w := open(t, s, cfg)

	if err := w.CloseWith(t.Context(), []byte("all of it")); err != nil {
		t.Fatal(err)
	}

	want := map[string]int{"append " + subjects.Timeline: 1, "append drawn": 1}
	if diff := cmp.Diff(want, b.count()); diff != "" {
		t.Error(diff)
	}

	again := listed("again", "llm")
	again.New = true

	if err := open(t, s, again).CloseWith(t.Context(), []byte("more")); err != nil {
		t.Fatal(err)
	}

	want = map[string]int{
		"append " + subjects.Timeline: 2, "append drawn": 1, "append again": 1, "last " + subjects.Timeline: 1,
	}
	if diff := cmp.Diff(want, b.count()); diff != "" {
		t.Error(diff)
	}

	r := read(t, s, bus.StreamID{Session: cfg.Session, Stream: "drawn"}, bus.Cursor{})

	text, err := r.ReadAll(t.Context())
	if err != nil || string(text) != "all of it" {
		t.Errorf("read %q, %v", text, err)
	}
}

// A writer that was told wrongly that its stream is new stores nothing.
func TestNewStreamThatIsNotNew(t *testing.T) {
	t.Parallel()

	s := setup(t, stream.Config{})
	first := open(t, s, writing)
	send(t, first, "a")

	if err := first.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}

	cfg := writing
	cfg.New = true

	if err := open(t, s, cfg).CloseWith(t.Context(), []byte("b")); !errors.Is(err, stream.ErrFenced) {
		t.Errorf("close beside another writer: %v, want ErrFenced", err)
	}

	end(t, first)

	if err := open(t, s, cfg).CloseWith(t.Context(), []byte("c")); !errors.Is(err, stream.ErrFenced) {
		t.Errorf("close behind the end: %v, want ErrFenced", err)
	}

	text, err := read(t, s, first.ID(), bus.Cursor{}).ReadAll(t.Context())
	if err != nil || string(text) != "a" {
		t.Errorf("read %q, %v", text, err)
	}
}

// The timeline goes on growing between the look at its end and the announcement.
func TestAnnouncementBehindALateLook(t *testing.T) {
	t.Parallel()

	s := setup(t, stream.Config{})
	early := open(t, s, listed("early", "llm"))
	late := open(t, s, listed("late", "llm"))
	send(t, late, "l")
	end(t, late)
	send(t, early, "e")
	end(t, early)

	want := []string{"late:opened", "late:l", "late:completed", "early:opened", "early:e", "early:completed"}
	if diff := cmp.Diff(want, tell(t, follow(t, s, stream.FollowConfig{Session: "session", All: true}), len(want))); diff != "" {
		t.Error(diff)
	}
}
