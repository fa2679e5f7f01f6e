package stream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/subjects"
)

// muteBus lets a process die after it stored the first frame of a stream and before it announced it.
type muteBus struct{ bus.Bus }

func (b *muteBus) Append(ctx context.Context, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	if f.ID.Stream == subjects.Timeline {
		return nil, bus.ErrClosed
	}

	return b.Bus.Append(ctx, f, after)
}

// A stream whose writer died before it announced it is announced by whoever opens it next, once, also where all of it is
// there already.
func TestStreamsAreAnnouncedInTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := membus.New(membus.Config{})
		s := stream.NewStore(b, b.Info(), stream.Config{})
		defer s.Close()
		mute := stream.NewStore(&muteBus{Bus: b}, b.Info(), stream.Config{})
		defer mute.Close()
		byLLM := func(name string) stream.WriterConfig {
			cfg := listed(name, "")
			cfg.Info.Component = "llm"

			return cfg
		}
		live := follow(t, s, stream.FollowConfig{})
		begun := open(t, mute, byLLM("begun"))
		if err := begun.Send(t.Context(), []byte("a")); err != nil {
			t.Fatal(err)
		}
		if err := begun.Flush(t.Context()); !errors.Is(err, bus.ErrClosed) {
			t.Errorf("flush of what is not announced: %v", err)
		}
		whole := open(t, mute, byLLM("whole"))
		if err := whole.CloseWith(t.Context(), []byte("w")); !errors.Is(err, bus.ErrClosed) {
			t.Errorf("close of what is not announced: %v", err)
		}
		end(t, open(t, s, byLLM("other")))
		for range 2 {
			var ended *stream.EndedError
			if _, err := s.OpenWriter(t.Context(), byLLM("whole")); !errors.As(err, &ended) {
				t.Errorf("open what is all there: %v", err)
			}
		}
		next := open(t, s, byLLM("begun"))
		send(t, next, "A")
		end(t, next)
		end(t, open(t, s, byLLM("last")))
		want := []string{
			"other:opened", "other:completed", "whole:opened", "whole:w", "whole:completed", "begun:opened", "begun:A",
			"begun:completed", "last:opened", "last:completed",
		}
		if got := tell(t, live, len(want)); !slices.Equal(got, want) {
			t.Errorf("live: %v", got)
		}
		if got := tell(t, follow(t, s, stream.FollowConfig{}), len(want)); !slices.Equal(got, want) {
			t.Errorf("late: %v", got)
		}
	})
}

// gatesBus holds up the appends to one log, or to the timeline, until its gate opens.
type gatesBus struct {
	bus.Bus

	log  string
	gate chan struct{}
}

func (b *gatesBus) Append(ctx context.Context, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	if f.ID.Stream == b.log {
		<-b.gate
	}

	return b.Bus.Append(ctx, f, after)
}

// Of two writers that begin a stream at the same moment one is fenced, and both have announced it. Whichever announcement
// comes first, the stream is there once, also for a follower that begins between the two.
func TestOneOfTwoAnnouncementsCounts(t *testing.T) {
	t.Parallel()
	for name, held := range map[string]string{
		"the fenced one announces first": "s", "the fenced one announces last": subjects.Timeline,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := membus.New(membus.Config{})
				s := stream.NewStore(b, b.Info(), stream.Config{})
				defer s.Close()
				gated := &gatesBus{Bus: b, log: held, gate: make(chan struct{})}
				slow := stream.NewStore(gated, b.Info(), stream.Config{})
				defer slow.Close()
				fenced, winner := open(t, slow, listed("s", "")), open(t, s, listed("s", ""))
				synctest.Wait()                // both have seen the timeline empty
				if held == subjects.Timeline { // its frame must come second all the same
					send(t, winner, "w")
				}
				if err := fenced.Send(t.Context(), []byte("f")); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if held != subjects.Timeline {
					send(t, winner, "w")
				}
				close(gated.gate)
				if err := fenced.Flush(t.Context()); !errors.Is(err, stream.ErrFenced) {
					t.Errorf("flush of the second one: %v", err)
				}
				end(t, winner)
				end(t, open(t, s, listed("last", "")))
				want := []string{"s:opened", "s:w", "s:completed", "last:opened", "last:completed"}
				if got := tell(t, follow(t, s, stream.FollowConfig{}), len(want)); !slices.Equal(got, want) {
					t.Errorf("from the beginning: %v", got)
				}
				from := stream.FollowConfig{From: stream.SessionCursor{Position: 1, Cursor: bus.Cursor{Attempt: 1, Index: 2}}}
				if got := tell(t, follow(t, s, from), 2); !slices.Equal(got, want[3:]) {
					t.Errorf("from behind the first announcement: %v", got)
				}
			})
		})
	}
}

// A session that is not as new as it seems to a process is no obstacle: the stream is announced at its end, and there once.
func TestFirstStreamOfAProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := membus.New(membus.Config{})
		var want []string
		for i := range 4 { // as of as many processes
			s := stream.NewStore(b, b.Info(), stream.Config{})
			for j := range 2 {
				cfg := listed(fmt.Sprint("s", i, "-", j), "")
				cfg.New = true
				if err := open(t, s, cfg).CloseWith(t.Context(), []byte("x")); err != nil {
					t.Fatal(err)
				}
				name := cfg.Info.Stream
				want = append(want, name+":opened", name+":x", name+":completed")
			}
			s.Close()
		}
		s := stream.NewStore(b, b.Info(), stream.Config{})
		defer s.Close()
		if got := tell(t, follow(t, s, stream.FollowConfig{}), len(want)); !slices.Equal(got, want) {
			t.Errorf("%v", got)
		}
	})
}

// Neither the announcement nor the first frame waits for the other.
func TestAnnouncementsAndFramesGoTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := membus.New(membus.Config{})
		gated := &gatesBus{Bus: b, log: "slow", gate: make(chan struct{})}
		s := stream.NewStore(gated, b.Info(), stream.Config{})
		defer s.Close()
		w := open(t, s, listed("slow", ""))
		if err := w.Send(t.Context(), []byte("a")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		last, err := b.Last(t.Context(), bus.StreamID{Session: "session", Stream: subjects.Timeline})
		if err != nil || last == nil {
			t.Fatalf("the announcement waits for the frame: %v, %v", last, err)
		}
		close(gated.gate)
		end(t, w)
	})
}
