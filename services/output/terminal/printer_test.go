package terminal_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/services/internal/sessiontest"
	"github.com/woodwork-go/woodwork/services/output/terminal"
)

// follow opens a follower that is closed at the end of the test.
func follow(t testing.TB, s *sessiontest.Session, from stream.SessionCursor) *stream.Follower {
	t.Helper()

	f, err := s.Follow(t.Context(), stream.FollowConfig{Session: s.ID, From: from})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(f.Close)

	return f
}

// state is where the session keeps a reader's bookmark.
func state(t testing.TB, s *sessiontest.Session, reader string) terminal.State {
	t.Helper()

	c, err := framework.Connect(t.Context(), framework.Config{Bus: s.Bus})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := c.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})

	return c.Session(s.ID, reader)
}

func TestAnswerPrintsOneTurnAndTellsHowItEnded(t *testing.T) {
	t.Parallel()

	s := sessiontest.New(t, "s1")
	s.Say("t1", "one")
	s.Say("t2", "two")

	if err := s.Answer("t3", bus.Text, stream.Restart).Say("thr").Fail(t.Context(), "quota"); err != nil {
		t.Fatal(err)
	}

	var out, notices strings.Builder

	p := terminal.NewPrinter(follow(t, s, stream.SessionCursor{}),
		terminal.NewRenderer(terminal.Config{Out: &out, Notices: &notices}))

	if end, err := p.Answer(t.Context(), "t2"); err != nil || end.State != bus.Completed {
		t.Errorf("end = %v, error %v", end, err)
	}

	if end, err := p.Answer(t.Context(), "t3"); err != nil || end.State != bus.Failed || end.Reason != "quota" {
		t.Errorf("end = %v, error %v", end, err)
	}

	if out.String() != "two\nthr\n" || notices.String() != "the answer failed: quota\n" {
		t.Errorf("printed %q and %q", out.String(), notices.String())
	}
}

func TestAnswerEndsWithItsContext(t *testing.T) {
	t.Parallel()

	s := sessiontest.New(t, "s1")
	ctx, stop := context.WithCancel(t.Context())
	stop()

	p := terminal.NewPrinter(follow(t, s, stream.SessionCursor{}),
		terminal.NewRenderer(terminal.Config{Out: io.Discard, Notices: io.Discard}))
	if _, err := p.Answer(ctx, "t1"); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
}

// stopAfter ends a run after a number of events.
type stopAfter struct {
	terminal.Events

	left int
	stop context.CancelFunc
}

func (s *stopAfter) Next(ctx context.Context) (stream.SessionEvent, error) {
	if s.left == 0 {
		s.stop()

		return stream.SessionEvent{}, context.Cause(ctx)
	}

	s.left--

	return s.Events.Next(ctx)
}

// cursors are the places behind all events up to the end of a turn.
func cursors(t testing.TB, s *sessiontest.Session, last string) []stream.SessionCursor {
	t.Helper()

	f := follow(t, s, stream.SessionCursor{})

	var all []stream.SessionCursor

	for {
		e, err := f.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		all = append(all, e.Cursor)
		if e.Event.Kind == stream.KindEnd && e.Info.Turn == last {
			return all
		}
	}
}

// An output that is restarted any number of times, after any event, prints each answer once.
func TestARestartedOutputRepeatsAndMissesNothing(t *testing.T) {
	t.Parallel()

	s := sessiontest.New(t, "s1")

	const want = "first\nsecond answer\nthird\n"

	s.Say("t1", "fir", "st")
	s.Answer("t2", bus.Text, stream.Restart).Say("second ", "try").Abandon()
	s.Answer("t2", bus.Text, stream.Resume).Say("dropped").Abandon()
	s.Answer("t2", bus.Text, stream.Restart).Say("second", " answer").Done()
	s.Say("t3", "third")

	all := cursors(t, s, "t3")
	round := 0

	rapid.Check(t, func(rt *rapid.T) {
		round++

		var out strings.Builder

		own := state(t, s, "output-"+strings.Repeat("x", round%50)+string(rune('a'+round/50)))
		screen := rapid.Bool().Draw(rt, "screen")

		for {
			mark, from, err := terminal.OpenBookmark(t.Context(), own)
			if err != nil {
				rt.Fatal(err)
			}

			left := len(all) - 1 - slices.Index(all, from)
			if left == 0 {
				break
			}

			f, err := s.Follow(t.Context(), stream.FollowConfig{Session: s.ID, From: from})
			if err != nil {
				rt.Fatal(err)
			}

			ctx, stop := context.WithCancel(t.Context())
			events := &stopAfter{Events: f, left: min(left, rapid.IntRange(1, 20).Draw(rt, "events")), stop: stop}

			r := terminal.NewRenderer(terminal.Config{Out: &out, Notices: io.Discard, Screen: screen, Plain: true})
			if err := terminal.NewPrinter(events, r).All(ctx, mark); err != nil {
				rt.Fatal(err)
			}

			stop()
			f.Close()
		}

		if got := out.String(); got != want {
			rt.Errorf("printed %q, want %q", got, want)
		}
	})
}

func TestTwoOutputsOfOneNameAreRefused(t *testing.T) {
	t.Parallel()

	s := sessiontest.New(t, "s1")
	s.Say("t1", "one")

	open := func() *terminal.Bookmark {
		mark, _, err := terminal.OpenBookmark(t.Context(), state(t, s, "output-x"))
		if err != nil {
			t.Fatal(err)
		}

		return mark
	}
	one, two := open(), open()

	f := follow(t, s, stream.SessionCursor{})

	e, err := f.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	if err := one.Save(t.Context(), e.Cursor); err != nil {
		t.Error(err)
	}

	if err := one.Save(t.Context(), e.Cursor); err != nil {
		t.Errorf("again: %v", err)
	}

	if err := two.Save(t.Context(), e.Cursor); !errors.Is(err, bus.ErrConflict) || !strings.Contains(err.Error(), "-reader") {
		t.Errorf("error = %v", err)
	}
}

func TestABookmarkThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()

	s := sessiontest.New(t, "s1")

	own := state(t, s, "output-x")
	if err := own.Save(t.Context(), map[string]string{"cursor": "here"}); err != nil {
		t.Fatal(err)
	}

	if _, _, err := terminal.OpenBookmark(t.Context(), own); !errors.Is(err, bus.ErrInvalid) {
		t.Errorf("error = %v", err)
	}
}

func TestAnExpiredBookmarkIsSaid(t *testing.T) {
	t.Parallel()

	s := sessiontest.New(t, "s1")
	s.Say("t1", "one")

	f := follow(t, s, stream.SessionCursor{Position: 7, Cursor: bus.Cursor{Attempt: 1}})

	var said bytes.Buffer

	err := terminal.NewPrinter(f, terminal.NewRenderer(terminal.Config{Out: io.Discard, Notices: &said})).All(t.Context(), nil)
	if !errors.Is(err, stream.ErrExpired) || !strings.Contains(said.String(), "no longer stored") {
		t.Errorf("error = %v, said %q", err, said.String())
	}
}
