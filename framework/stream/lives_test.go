package stream_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/subjects"
)

// age is how long the brokers of these tests keep entries.
const age = time.Hour

// aging runs a test in a bubble, on a broker whose entries expire.
func aging(t *testing.T, run func(t *testing.T, b *membus.Broker, s *stream.Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{MaxAge: age})
		b := broker.Open()
		s := stream.NewStore(b, b.Info(), stream.Config{})
		run(t, broker, s)
		s.Close()
		_ = b.Close(t.Context())
	})
}

// write writes a stream of chunks that name it.
func write(t *testing.T, s *stream.Store, name string, chunks int) {
	t.Helper()
	w := open(t, s, listed(name, ""))
	for i := range chunks {
		send(t, w, fmt.Sprint(name, i))
	}
	end(t, w)
}

// tale is what a follower says until it has nothing more to say, with the cursor behind it, and why it ended.
func tale(t *testing.T, f *stream.Follower) (text string, at stream.SessionCursor, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var words []string
	for {
		ev, err := f.Next(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			err = nil
			ev.Event.Kind = 0
		}
		if err != nil || ev.Event.Kind == 0 {
			return strings.Join(words, " "), at, err
		}
		words, at = append(words, show(ev.Event)), ev.Cursor
	}
}

func TestACursorOfAnExpiredTimelineIsRefused(t *testing.T) {
	t.Parallel()
	aging(t, func(t *testing.T, _ *membus.Broker, s *stream.Store) {
		write(t, s, "one", 3)
		_, cursor, err := tale(t, follow(t, s, stream.FollowConfig{}))
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * age)
		if text, _, err := tale(t, follow(t, s, stream.FollowConfig{From: cursor})); text != "" || !errors.Is(err, stream.ErrExpired) {
			t.Errorf("nothing is there any more: %q, %v; want ErrExpired", text, err)
		}
		write(t, s, "two", 6)
		if text, _, err := tale(t, follow(t, s, stream.FollowConfig{From: cursor})); text != "" || !errors.Is(err, stream.ErrExpired) {
			t.Errorf("another stream has the place: %q, %v; want ErrExpired", text, err)
		}
		if text, _, err := tale(t, follow(t, s, stream.FollowConfig{})); text != "opened two0 two1 two2 two3 two4 two5 completed" {
			t.Errorf("from the beginning: %q, %v", text, err)
		}
	})
}

// A cursor that names no life, as an older program wrote it, is taken for one of the log that is there.
func TestACursorWithoutALifeIsTaken(t *testing.T) {
	t.Parallel()
	aging(t, func(t *testing.T, _ *membus.Broker, s *stream.Store) {
		write(t, s, "one", 3)
		from := stream.SessionCursor{Position: 1, Cursor: bus.Cursor{Attempt: 1, Index: 1}}
		if text, _, err := tale(t, follow(t, s, stream.FollowConfig{From: from})); text != "one1 one2 completed" {
			t.Errorf("%q, %v", text, err)
		}
	})
}

// The stream of a cursor can begin anew while the timeline that announced it goes on.
func TestACursorInAStreamThatBeganAnewIsRefused(t *testing.T) {
	t.Parallel()
	aging(t, func(t *testing.T, b *membus.Broker, s *stream.Store) {
		write(t, s, "one", 3)
		r := read(t, s, bus.StreamID{Session: "session", Stream: "one"}, bus.Cursor{})
		next(t, r, 2)
		b.Wipe(r.ID())
		write(t, s, "one", 6)
		again := read(t, s, r.ID(), r.Cursor())
		if ev, err := again.Next(t.Context()); !errors.Is(err, stream.ErrExpired) {
			t.Errorf("the reader that comes back: %v, %v; want ErrExpired", show(ev), err)
		}
		_ = next(t, r, 2) // was read ahead
		if ev, err := r.Next(t.Context()); !errors.Is(err, stream.ErrExpired) && err == nil && ev.Kind != stream.KindEnd {
			t.Errorf("the reader that stayed: %v, %v", show(ev), err)
		}
	})
}

// Who follows a session that is idle for longer than entries are kept has missed nothing.
func TestAFollowerGoesOnAfterALongPause(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]stream.FollowConfig{"from the beginning": {}, "what is new": {New: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aging(t, func(t *testing.T, _ *membus.Broker, s *stream.Store) {
				if !cfg.New {
					write(t, s, "one", 2)
				}
				f := follow(t, s, cfg)
				if _, _, err := tale(t, f); err != nil {
					t.Fatal(err)
				}
				said := make(chan string, 1)
				go func() {
					text := ""
					for !strings.Contains(text, "completed") {
						ev, err := f.Next(t.Context())
						if err != nil {
							text += err.Error()

							break
						}
						text += show(ev.Event) + " "
					}
					said <- text
				}()
				<-time.After(25 * age)
				write(t, s, "two", 2)
				if got := <-said; got != "opened two0 two1 completed " {
					t.Error(got)
				}
			})
		})
	}
}

// A session's oldest streams expire; what is there is shown, each stream from its beginning.
func TestAFollowerBeginsWithTheOldestStream(t *testing.T) {
	t.Parallel()
	aging(t, func(t *testing.T, b *membus.Broker, s *stream.Store) {
		write(t, s, "one", 2)
		long := open(t, s, listed("long", ""))
		send(t, long, "long0")
		<-time.After(age * 3 / 4)
		write(t, s, "two", 2)
		send(t, long, "long1")
		<-time.After(age / 2)
		end(t, long)
		write(t, s, "three", 1)
		if text, _, err := tale(t, follow(t, s, stream.FollowConfig{})); text != "opened two0 two1 completed opened three0 completed" {
			t.Errorf("%q, %v", text, err)
		}
		b.Wipe(bus.StreamID{Session: "session", Stream: "two"}) // announced, and gone
		<-time.After(age / 4)
		begin := time.Now()
		f := follow(t, s, stream.FollowConfig{})
		if got := tell(t, f, 3); strings.Join(got, " ") != "three:opened three:three0 three:completed" {
			t.Error(got)
		}
		if waited := time.Since(begin); waited > time.Second {
			t.Errorf("waited %v for a stream that has vanished", waited)
		}
	})
}

// A stream whose turn is over, and of which nothing is there, is not waited for.
func TestAFollowerDoesNotWaitForAVanishedAnswer(t *testing.T) {
	t.Parallel()
	aging(t, func(t *testing.T, b *membus.Broker, s *stream.Store) {
		answers := []string{"a", "b", "c", "d"}
		for _, turn := range answers {
			w := open(t, s, stream.WriterConfig{Info: stream.Info{Stream: "llm-" + turn, Component: "llm", Turn: turn}})
			send(t, w, turn)
			end(t, w)
		}
		for _, turn := range answers[:3] {
			b.Wipe(bus.StreamID{Session: "session", Stream: "llm-" + turn})
		}
		from := stream.SessionCursor{Position: 1, Cursor: bus.Cursor{Attempt: 1, Index: 2}} // behind the first answer's end
		if text, _, err := tale(t, follow(t, s, stream.FollowConfig{From: from})); text != "" || !errors.Is(err, stream.ErrExpired) {
			t.Errorf("with a cursor: %q, %v; want ErrExpired", text, err)
		}
		begin := time.Now()
		if got := tell(t, follow(t, s, stream.FollowConfig{}), 3); got[1] != "llm-d:d" {
			t.Error(got)
		}
		if waited := time.Since(begin); waited > time.Second {
			t.Errorf("waited %v for three answers that have vanished", waited)
		}
	})
}

// A reader that has begun reads on although what it has read expires.
func TestAReaderOutlivesTheBeginning(t *testing.T) {
	t.Parallel()
	aging(t, func(t *testing.T, _ *membus.Broker, s *stream.Store) {
		w := open(t, s, stream.WriterConfig{})
		send(t, w, "a", "b")
		r := read(t, s, w.ID(), bus.Cursor{})
		next(t, r, 2)
		cursor := r.Cursor()
		<-time.After(age * 2 / 3)
		send(t, w, "c")
		<-time.After(age * 2 / 3)
		send(t, w, "d")
		end(t, w)
		if got := next(t, r, 3); got != "c d completed" {
			t.Error(got)
		}
		if got := next(t, read(t, s, w.ID(), cursor), 3); got != "c d completed" {
			t.Errorf("resumed behind what has expired: %s", got)
		}
		if _, err := read(t, s, w.ID(), bus.Cursor{}).Next(t.Context()); !errors.Is(err, stream.ErrExpired) {
			t.Errorf("from the beginning: %v, want ErrExpired", err)
		}
	})
}

// An attempt that replaces everything before it is all that a reader needs.
func TestAReaderDoesWithoutWhatWasSuperseded(t *testing.T) {
	t.Parallel()
	aging(t, func(t *testing.T, _ *membus.Broker, s *stream.Store) {
		w := open(t, s, stream.WriterConfig{})
		send(t, w, "a", "b")
		<-time.After(age * 2 / 3)
		send(t, w, "c")
		w.Abandon()
		again := open(t, s, stream.WriterConfig{})
		send(t, again, "A")
		<-time.After(age * 2 / 3)
		end(t, again)
		if got := next(t, read(t, s, w.ID(), bus.Cursor{}), 2); got != "A completed" {
			t.Error(got)
		}
	})
}

// A log that many write goes on whatever expires of it, and so do its readers.
func TestASharedLogOutlivesItsEntries(t *testing.T) {
	t.Parallel()
	aging(t, func(t *testing.T, b *membus.Broker, s *stream.Store) {
		id := bus.StreamID{Session: "session", Stream: subjects.ControlLog}
		share := func(text string) bus.Cursor {
			end, err := s.Share(t.Context(), id, []byte(text))
			if err != nil {
				t.Fatal(err)
			}

			return end
		}
		all := func() (text string) {
			chunks, err := s.Shared(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range chunks {
				text += string(c.Data)
			}

			return text
		}
		heard := make(chan string, 10)
		r, there, err := s.OpenShared(t.Context(), id)
		if err != nil || len(there) > 0 {
			t.Fatal(there, err)
		}
		defer r.Close()
		go func() {
			for {
				ev, err := r.Next(t.Context())
				if err != nil {
					return
				}
				heard <- string(ev.Chunk.Data)
			}
		}()
		first := share("1")
		<-time.After(age * 2 / 3)
		share("2")
		<-time.After(age * 2 / 3)
		if got := all(); got != "2" {
			t.Errorf("without its head the log holds %q, want 2", got)
		}
		share("3")
		<-time.After(2 * age)
		if anew := share("4"); anew.Life == first.Life || anew.Index != 1 {
			t.Errorf("the place in the log that began anew is %v, in the one before %v", anew, first)
		}
		if got := all(); got != "4" {
			t.Errorf("the log that began anew holds %q, want 4", got)
		}
		b.Wipe(id)
		share("5")
		share("6")
		for _, want := range []string{"1", "2", "3", "4", "5", "6"} {
			if got := <-heard; got != want {
				t.Errorf("the reader got %q, want %q", got, want)
			}
		}
	})
}

// ambiguous is a bus on which the outcome of an append is not known, and others write before it is repeated.
type ambiguous struct {
	bus.Bus

	meanwhile func()
}

func (b *ambiguous) Append(ctx context.Context, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	e, err := b.Bus.Append(ctx, f, after)
	if do := b.meanwhile; do != nil && err == nil {
		b.meanwhile = nil
		do()

		return nil, bus.ErrUnknown
	}

	return e, err
}

func TestWhatIsSharedIsStoredOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		plain := broker.Open()
		other := stream.NewStore(plain, plain.Info(), stream.Config{})
		defer other.Close()
		id := bus.StreamID{Session: "session", Stream: subjects.FailureLog}
		b := &ambiguous{Bus: broker.Open(), meanwhile: func() {
			for _, text := range []string{"x", "y"} {
				if _, err := other.Share(t.Context(), id, []byte(text)); err != nil {
					t.Error(err)
				}
			}
		}}
		s := stream.NewStore(b, b.Info(), stream.Config{})
		defer s.Close()
		end, err := s.Share(t.Context(), id, []byte("mine"))
		if err != nil || end.Index != 1 {
			t.Errorf("stored at %v, %v", end, err)
		}
		chunks, err := other.Shared(t.Context(), id)
		if err != nil || len(chunks) != 3 {
			t.Errorf("%d chunks, %v; want 3", len(chunks), err)
		}
	})
}

// forgetful answers that a log is empty, n times.
type forgetful struct {
	bus.Bus

	n atomic.Int64
}

func (b *forgetful) Last(ctx context.Context, id bus.StreamID) (*bus.Entry, error) {
	if b.n.Add(-1) >= 0 {
		return nil, nil
	}

	return b.Bus.Last(ctx, id)
}

// Two answers from the past, hours apart, are two moments of doubt and no certainty.
func TestADoubtEndsWhenTheLogAgrees(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &forgetful{Bus: membus.New(membus.Config{MaxAge: -1})}
		s := stream.NewStore(b, b.Info(), stream.Config{})
		defer s.Close()
		w := open(t, s, stream.WriterConfig{})
		send(t, w, "a")
		r := read(t, s, w.ID(), bus.Cursor{})
		next(t, r, 1)
		got := make(chan string, 1)
		go func() {
			ev, err := r.Next(t.Context())
			got <- fmt.Sprint(show(ev), err)
		}()
		for range 3 {
			<-time.After(3 * time.Hour)
			synctest.Wait()
			b.n.Store(1) // the next look is answered from the past
		}
		<-time.After(3 * time.Hour)
		send(t, w, "b")
		if text := <-got; text != "b<nil>" {
			t.Error(text)
		}
		end(t, w)
	})
}

// A reader believes a replicated log only when a leader that is cut off can't be the one that answers.
func TestALeaderThatIsCutOffIsNotBelieved(t *testing.T) {
	t.Parallel()
	for class, believed := range map[bus.Durability]bool{bus.Local: true, bus.Replicated: false} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := &forgetful{Bus: membus.New(membus.Config{})}
				s := stream.NewStore(b, bus.Info{Durability: class}, stream.Config{})
				defer s.Close()
				w := open(t, s, stream.WriterConfig{})
				send(t, w, "a")
				r := read(t, s, w.ID(), bus.Cursor{})
				next(t, r, 1)
				again := read(t, s, w.ID(), r.Cursor())
				b.n.Store(1 << 30)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // lostQuorumInterval + lostQuorumCheck
				defer cancel()
				if _, err := again.Next(ctx); errors.Is(err, stream.ErrExpired) != believed {
					t.Errorf("after 20 s of answers from the past: %v", err)
				}
				b.n.Store(0)
				end(t, w)
			})
		})
	}
}

// A later turn of the component says that the one before is over. Where that left its stream without an end, as when the
// stored turns were deleted, its followers don't wait for one.
func TestAFollowerDoesNotWaitForALostTurn(t *testing.T) {
	t.Parallel()
	aging(t, func(t *testing.T, _ *membus.Broker, s *stream.Store) {
		output := func(component, turn string) *stream.Writer {
			info := stream.Info{Stream: component + "-" + turn, Component: component, Turn: turn, Root: turn}

			return open(t, s, stream.WriterConfig{Info: info})
		}
		end(t, output("llm", "t0"))
		w := output("llm", "t1")
		send(t, w, "half")
		f := follow(t, s, stream.FollowConfig{})
		tell(t, f, 4)
		announceAgain(t, s, stream.Info{Stream: "llm-t0", Component: "llm", Turn: "t0", Root: "t0"})
		heard := make(chan []string, 1)
		go func() { heard <- tell(t, f, 9) }()
		end(t, output("tool", "t2")) // none of these is a later turn of the llm
		write(t, s, "t3", 1)
		<-time.After(5 * time.Minute)
		select {
		case got := <-heard:
			t.Fatalf("got %v before a later turn of the component began", got)
		default:
		}
		begin := time.Now()
		later := output("llm", "t4")
		send(t, later, "whole")
		end(t, later)
		got := <-heard
		if text := strings.Join(got, " "); text != "llm-t1:failed tool-t2:opened tool-t2:completed t3:opened t3:t30 t3:completed "+
			"llm-t4:opened llm-t4:whole llm-t4:completed" {
			t.Error(text)
		}
		if waited := time.Since(begin); waited > time.Second {
			t.Errorf("waited %v", waited)
		}
	})
}

// announceAgain announces a stream once more, as an instance may that was declared dead before it could.
func announceAgain(t *testing.T, s *stream.Store, info stream.Info) {
	t.Helper()
	w, err := s.OpenWriter(t.Context(), stream.WriterConfig{Session: "session", Info: info, New: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(t.Context()); !errors.Is(err, stream.ErrFenced) {
		t.Fatalf("the stream exists, and yet: %v", err)
	}
}

// The cursor behind an end that is not stored is one to go on from.
func TestACursorBehindALostTurnIsTaken(t *testing.T) {
	t.Parallel()
	aging(t, func(t *testing.T, _ *membus.Broker, s *stream.Store) {
		for _, turn := range []string{"t1", "t2"} {
			w := open(t, s, stream.WriterConfig{Info: stream.Info{Stream: "llm-" + turn, Component: "llm", Turn: turn}})
			send(t, w, turn)
			if turn == "t2" {
				end(t, w)
			}
		}
		f := follow(t, s, stream.FollowConfig{})
		tell(t, f, 2)
		ev, err := f.Next(t.Context())
		if err != nil || ev.Event.End.Reason != "the turn was lost" {
			t.Fatalf("%+v, %v", ev.Event, err)
		}
		got := strings.Join(tell(t, follow(t, s, stream.FollowConfig{From: ev.Cursor}), 3), " ")
		if got != "llm-t2:opened llm-t2:t2 llm-t2:completed" {
			t.Error(got)
		}
	})
}

// slowLast takes a while for each look at the end of a log.
type slowLast struct{ bus.Bus }

func (b slowLast) Last(ctx context.Context, id bus.StreamID) (*bus.Entry, error) {
	select {
	case <-time.After(200 * time.Millisecond):
		return b.Bus.Last(ctx, id)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// However slow the bus is, an answer that is there is not taken for one that has vanished.
func TestASlowBusHidesNoAnswer(t *testing.T) {
	t.Parallel()
	aging(t, func(t *testing.T, b *membus.Broker, s *stream.Store) {
		for _, turn := range []string{"a", "b", "c"} {
			w := open(t, s, stream.WriterConfig{Info: stream.Info{Stream: "llm-" + turn, Component: "llm", Turn: turn}})
			send(t, w, turn)
			end(t, w)
		}
		slow := stream.NewStore(slowLast{b.Open()}, bus.Info{}, stream.Config{})
		defer slow.Close()
		got := strings.Join(tell(t, follow(t, slow, stream.FollowConfig{}), 9), " ")
		if got != "llm-a:opened llm-a:a llm-a:completed llm-b:opened llm-b:b llm-b:completed llm-c:opened llm-c:c llm-c:completed" {
			t.Error(got)
		}
	})
}

// A writer may have looked at the timeline's end long before it announces its stream, which then begins the timeline anew.
func TestAnAnnouncementMayBeginTheTimelineAnew(t *testing.T) {
	t.Parallel()
	for name, others := range map[string]int{"alone": 0, "behind others": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aging(t, func(t *testing.T, b *membus.Broker, s *stream.Store) {
				for i := range 3 {
					write(t, s, fmt.Sprint("old", i), 1)
				}
				w := open(t, s, listed("new", ""))
				<-time.After(2 * age)
				other := stream.NewStore(b.Open(), bus.Info{}, stream.Config{})
				defer other.Close()
				for i := range others {
					write(t, other, fmt.Sprint("other", i), 1)
				}
				send(t, w, "new")
				end(t, w)
				for range 2 { // an attempt that finds the stream does not announce it again
					if _, err := s.OpenWriter(t.Context(), listed("new", "")); !errors.Is(err, stream.ErrEnded) {
						t.Fatal(err)
					}
				}
				got := tell(t, follow(t, s, stream.FollowConfig{}), 3*others+3)
				if text := strings.Join(got[3*others:], " "); text != "new:opened new:new new:completed" {
					t.Error(got)
				}
				end, err := s.End(t.Context(), bus.StreamID{Session: "session", Stream: subjects.Timeline})
				if err != nil || int(end.Index) != others+1 {
					t.Errorf("the timeline ends at %v, %v; want %d announcements", end, err, others+1)
				}
			})
		})
	}
}
