package crew_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/crew"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRoomIsBounded(t *testing.T) {
	t.Parallel()

	const limit, claims = 3, 200

	r := crew.NewRoom(limit)

	var (
		inside, served atomic.Int32
		all            sync.WaitGroup
	)

	for range claims {
		all.Go(func() {
			for !r.Enter() {
				if _, err := r.Await(t.Context()); err != nil {
					t.Error(err)
				}
			}

			if n := inside.Add(1); n > limit {
				t.Errorf("%d claims in room for %d", n, limit)
			}

			served.Add(1)
			inside.Add(-1)
			r.Leave()
		})
	}

	all.Wait()

	if free, err := r.Await(t.Context()); free != limit || err != nil || r.Full() {
		t.Errorf("room for %d in the end, %v, full %v; want %d", free, err, r.Full(), limit)
	}

	if n := served.Load(); n != claims {
		t.Errorf("served %d claims, want %d", n, claims)
	}
}

func TestRoomAwaits(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		r := crew.NewRoom(1)
		if !r.Enter() || r.Enter() || !r.Full() {
			t.Fatal("room for one claim takes none, or two")
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()

		if _, err := r.Await(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waited in vain: %v", err)
		}

		time.AfterFunc(time.Minute, r.Leave)

		begun := time.Now()
		if free, err := r.Await(t.Context()); free != 1 || err != nil || time.Since(begun) != time.Minute {
			t.Errorf("room for %d after %v, %v; want 1 after a minute", free, time.Since(begun), err)
		}
	})
}

// A claim that rests leaves its room to others, and the room closes when it has left all the same.
func TestAClaimRests(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		r := crew.NewRoom(1)
		if !r.Enter() {
			t.Fatal("no room")
		}

		first := r.Place()

		resume := first.Rest()
		if r.Full() || !r.Enter() || resume() {
			t.Fatal("a claim that rests keeps its room, or finds room that another one has")
		}

		r.Leave()

		for range 2 {
			if !resume() || !r.Full() {
				t.Error("a claim does not take its room again")
			}
		}

		first.Rest()

		if !r.Enter() {
			t.Error("a claim that rests again keeps its room")
		}

		time.AfterFunc(time.Minute, r.Leave)
		time.AfterFunc(time.Hour, func() { first.End(); r.Leave() })

		begun := time.Now()
		r.Close()

		if took := time.Since(begun); took != time.Hour {
			t.Errorf("closed after %v, want after the claim that rests has left", took)
		}
	})
}

func TestRoomCloses(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		r := crew.NewRoom(0)
		if free, _ := r.Await(t.Context()); free != crew.DefaultLimit || !r.Enter() {
			t.Fatalf("room for %d claims by default, want %d", free, crew.DefaultLimit)
		}

		time.AfterFunc(time.Minute, r.Leave)

		begun := time.Now()
		r.Close()

		if took := time.Since(begun); took != time.Minute {
			t.Errorf("closed after %v, want after the claim left", took)
		}

		if r.Enter() {
			t.Error("a claim entered a room that is closed")
		}
	})
}

// hand is a worker that adopts what it is told to, and keeps it.
type hand struct {
	component string
	room      *crew.Room
	ended     error
	until     time.Time
	refuses   error
}

func (h *hand) Component() string { return h.component }
func (h *hand) Room() *crew.Room  { return h.room }
func (h *hand) End(cause error)   { h.ended = cause }

func (h *hand) Adopt(_ *bus.Ticket, until time.Time) error {
	h.until = until

	return h.refuses
}

func TestSetAdopts(t *testing.T) {
	t.Parallel()

	refused := errors.New("refused")

	for name, test := range map[string]struct {
		worker, ticket string // their components
		delay          time.Duration
		refuses, want  error
		adopted        bool
	}{
		"in time":           {worker: "llm", ticket: "llm", delay: time.Second, adopted: true},
		"late":              {worker: "llm", ticket: "llm", delay: time.Second + 1, want: bus.ErrLost},
		"another ticket":    {worker: "llm", ticket: "tool", want: bus.ErrInvalid},
		"another worker":    {worker: "tool", ticket: "llm"},
		"a worker's reason": {worker: "llm", ticket: "llm", refuses: refused, want: refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			synctest.Test(t, func(t *testing.T) {
				h := &hand{component: test.worker, room: crew.NewRoom(1), refuses: test.refuses}

				var set crew.Set[*hand]
				if !set.Join(h) {
					t.Fatal("the set is closed")
				}
				defer set.Leave(h)

				begun := time.Now()

				adopted, err := set.Adopt(t.Context(), "llm", func(context.Context) (*bus.Ticket, error) {
					<-time.After(test.delay)

					return &bus.Ticket{Component: test.ticket, Left: time.Second}, nil
				})
				if adopted != test.adopted || !errors.Is(err, test.want) {
					t.Errorf("adopted %v, %v; want %v, %v", adopted, err, test.adopted, test.want)
				}

				if test.adopted && !h.until.Equal(begun.Add(time.Second)) {
					t.Errorf("the claim lasts %v, want a second from before it was asked for", h.until.Sub(begun))
				}

				if h.room.Full() != test.adopted {
					t.Errorf("room is taken: %v, want %v", h.room.Full(), test.adopted)
				}
			})
		})
	}
}

func TestSetEnds(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		var set crew.Set[*hand]

		one, other := &hand{room: crew.NewRoom(1)}, &hand{room: crew.NewRoom(1)}
		for _, h := range []*hand{one, other} {
			if !set.Join(h) {
				t.Fatal("the set is closed")
			}
		}

		set.Leave(one)
		time.AfterFunc(time.Minute, func() { set.Leave(other) })

		begun := time.Now()
		set.Close(t.Context(), bus.ErrClosed)

		if took := time.Since(begun); took != 2*time.Second {
			t.Errorf("closed after %v, want after the grace of two seconds", took)
		}

		if one.ended != nil || !errors.Is(other.ended, bus.ErrClosed) {
			t.Errorf("ended with %v and %v, want only the second", one.ended, other.ended)
		}

		if set.Join(one) {
			t.Error("a worker joined after the end")
		}

		<-time.After(time.Minute) // for the one that is late
	})
}
