package stream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/bustest"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/subjects"
)

func follow(t *testing.T, s *stream.Store, cfg stream.FollowConfig) *stream.Follower {
	t.Helper()
	cfg.Session = "session"
	f, err := s.Follow(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)

	return f
}

// tell returns the next n events of a session as "stream:event".
func tell(t *testing.T, f *stream.Follower, n int) []string {
	t.Helper()
	var events []string
	for range n {
		ev, err := f.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, ev.Info.Stream+":"+show(ev.Event))
	}

	return events
}

func listed(name, target string) stream.WriterConfig {
	return stream.WriterConfig{Session: "session", Info: stream.Info{Stream: name, Target: target}}
}

func TestFollowerSelects(t *testing.T) {
	t.Parallel()
	s := setup(t, stream.Config{})
	for _, cfg := range []stream.WriterConfig{
		listed("a", "llm"), listed("b", ""), listed("c", "output"), listed("d", "tool"),
		listed("e", "tool,output"), writing,
	} {
		w := open(t, s, cfg)
		end(t, w)
	}
	for _, c := range []struct {
		cfg  stream.FollowConfig
		want []string
	}{
		{stream.FollowConfig{}, []string{"b", "c", "e"}},
		{stream.FollowConfig{Targets: []string{"llm", "tool"}}, []string{"a", "d", "e"}},
		{stream.FollowConfig{All: true}, []string{"a", "b", "c", "d", "e"}},
		{stream.FollowConfig{From: stream.SessionCursor{Position: 2, Cursor: bus.Cursor{Attempt: 1, Index: 1}}}, []string{"c", "e"}},
	} {
		var want []string
		for _, name := range c.want {
			want = append(want, name+":opened", name+":completed")
		}
		if got := tell(t, follow(t, s, c.cfg), len(want)); !slices.Equal(got, want) {
			t.Errorf("%+v: %v, want %v", c.cfg, got, want)
		}
	}
}

// Streams that are opened at the same time get different positions, in an order that all followers agree on.
func TestTimelineOfManyWriters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := bustest.Faulty(membus.New(membus.Config{}), bustest.FaultConfig{Stored: 0.2, Unstored: 0.2, Busy: 0.2, Unread: 0.1})
		var stores []*stream.Store
		for range 2 { // as of two processes
			stores = append(stores, stream.NewStore(b, b.Info(), stream.Config{InFlight: 2}))
		}
		defer func() {
			for _, s := range stores {
				s.Close()
			}
		}()
		const n = 40
		early := follow(t, stores[0], stream.FollowConfig{})
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				w, err := stores[i%2].OpenWriter(t.Context(), listed(fmt.Sprint("s", i), ""))
				if err == nil {
					err = w.Send(t.Context(), []byte("x"))
				}
				if err == nil {
					err = w.Close(t.Context())
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		got := tell(t, early, 3*n)
		all.Wait()
		if again := tell(t, follow(t, stores[1], stream.FollowConfig{}), 3*n); !slices.Equal(got, again) {
			t.Errorf("two followers differ:\n%v\n%v", got, again)
		}
		log, err := readLog(t.Context(), b.Unwrap(), bus.StreamID{Session: "session", Stream: subjects.Timeline})
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range log {
			if e.Begin != (i == 0) || int(e.First) != i || e.Attempt != 1 {
				t.Errorf("announcement %d: %+v", i, e.Frame)
			}
		}
		slices.Sort(got)
		if names := slices.Compact(got); len(names) != 3*n {
			t.Errorf("%d different events", len(names))
		}
	})
}

// A writer that died between announcing a stream and its first frame leaves an announcement that counts for nothing.
func TestFollowerSkipsStaleAnnouncements(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := membus.New(membus.Config{})
		s := stream.NewStore(b, b.Info(), stream.Config{})
		defer s.Close()
		die := func(name string) {
			dead := stream.NewStore(&diesBus{Bus: b}, b.Info(), stream.Config{})
			defer dead.Close()
			w := open(t, dead, listed(name, ""))
			if err := w.Close(t.Context()); !errors.Is(err, bus.ErrClosed) {
				t.Fatal(err)
			}
		}
		live := follow(t, s, stream.FollowConfig{})
		die("retried")
		die("forgotten")
		end(t, open(t, s, listed("retried", "")))
		end(t, open(t, s, listed("other", "")))
		want := []string{"retried:opened", "retried:completed", "other:opened", "other:completed"}
		begin := time.Now()
		if got := tell(t, live, 4); !slices.Equal(got, want) {
			t.Errorf("live: %v", got)
		}
		if took := time.Since(begin); took > 2*time.Minute {
			t.Errorf("it took %v to see that a writer has given up", took)
		}
		if got := tell(t, follow(t, s, stream.FollowConfig{}), 4); !slices.Equal(got, want) {
			t.Errorf("late: %v", got)
		}
	})
}

// diesBus lets a process die after it announced a stream.
type diesBus struct{ bus.Bus }

func (b *diesBus) Append(ctx context.Context, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	if f.ID.Stream != subjects.Timeline {
		return nil, bus.ErrClosed
	}

	return b.Bus.Append(ctx, f, after)
}

func TestFollowerWaitsForASlowFirstFrame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := membus.New(membus.Config{})
		s := stream.NewStore(b, b.Info(), stream.Config{})
		defer s.Close()
		slow := stream.NewStore(&pausesBus{Bus: b}, b.Info(), stream.Config{})
		defer slow.Close()
		f := follow(t, s, stream.FollowConfig{})
		w := open(t, slow, listed("slow", ""))
		if err := w.Send(t.Context(), []byte("a")); err != nil {
			t.Fatal(err)
		}
		pause(t.Context(), time.Second) // it is announced
		end(t, open(t, s, listed("fast", "")))
		if got := tell(t, f, 2); !slices.Equal(got, []string{"slow:opened", "slow:a"}) {
			t.Errorf("%v", got)
		}
		end(t, w)
	})
}

// pausesBus takes most of what a writer may take between the announcement of a stream and its first frame.
type pausesBus struct{ bus.Bus }

func (b *pausesBus) Append(ctx context.Context, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	if f.ID.Stream != subjects.Timeline {
		pause(ctx, 25*time.Second)
	}

	return b.Bus.Append(ctx, f, after)
}

// When the oldest part of a session has expired, a follower begins with what there is.
func TestFollowerOfAnOldSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := faulty(t, stream.Config{})
		end(t, open(t, s, listed("old", "")))
		pause(t.Context(), 40*time.Minute)
		end(t, open(t, s, listed("new", "")))
		pause(t.Context(), 40*time.Minute)
		if got := tell(t, follow(t, s, stream.FollowConfig{}), 2); !slices.Equal(got, []string{"new:opened", "new:completed"}) {
			t.Errorf("%v", got)
		}
	})
}

func TestFollowerSeesSupersedings(t *testing.T) {
	t.Parallel()
	s := setup(t, stream.Config{})
	f := follow(t, s, stream.FollowConfig{})
	send(t, open(t, s, listed("a", "")), "x")
	got := tell(t, f, 2)
	w := open(t, s, listed("a", ""))
	send(t, w, "X")
	end(t, w)
	got = append(got, tell(t, f, 3)...)
	if want := []string{"a:opened", "a:x", "a:<0", "a:X", "a:completed"}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestTimelineIDIsReserved(t *testing.T) {
	t.Parallel()
	s := setup(t, stream.Config{})
	for _, name := range []string{subjects.Timeline, "", "a.b", "*"} {
		if _, err := s.OpenWriter(t.Context(), listed(name, "")); !errors.Is(err, bus.ErrInvalid) {
			t.Errorf("stream %q: %v", name, err)
		}
	}
}
