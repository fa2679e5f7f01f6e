package stream_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/bustest"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// losing returns a store on a bus with faults on the live way.
func losing(t *testing.T, faults bustest.FaultConfig) *stream.Store {
	t.Helper()
	b := bustest.Faulty(membus.New(membus.Config{MaxAge: time.Hour}), faults)
	s := stream.NewStore(b, b.Info(), stream.Config{})
	t.Cleanup(s.Close)

	return s
}

func TestReaderFindsWhatNobodyDelivered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := losing(t, bustest.FaultConfig{Drop: 1})
		w := open(t, s, writing)
		r := read(t, s, w.ID(), bus.Cursor{})
		send(t, w, "a")
		if got := next(t, r, 1); got != "a" {
			t.Fatal(got)
		}
		for _, c := range []struct{ quiet, most time.Duration }{
			{0, 2 * time.Second},
			{0, 2 * time.Second},
			{10 * time.Second, 10 * time.Second},
			{time.Hour / 2, 62 * time.Second},
			{0, 2 * time.Second},
		} {
			events := make(chan string)
			go func() { events <- next(t, r, 1) }()
			pause(t.Context(), c.quiet)
			send(t, w, "b")
			begin := time.Now()
			if got := <-events; got != "b" || time.Since(begin) > c.most {
				t.Errorf("after %v of silence: %q after %v", c.quiet, got, time.Since(begin))
			}
		}
	})
}

func TestReaderIsToldThatItMissedSomething(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := losing(t, bustest.FaultConfig{Drop: 1, Missed: 1})
		w := open(t, s, writing)
		r := read(t, s, w.ID(), bus.Cursor{})
		go func() {
			pause(t.Context(), time.Millisecond)
			_ = w.Send(t.Context(), []byte("a"))
		}()
		begin := time.Now()
		if got := next(t, r, 1); got != "a" || time.Since(begin) > time.Millisecond {
			t.Errorf("%q after %v", got, time.Since(begin))
		}
	})
}

// A beginning that was delivered live is no proof that the reader saw all of the attempt before.
func TestReaderRepairsTheGapBeforeAnAttempt(t *testing.T) {
	t.Parallel()
	b := &deafBus{Bus: membus.New(membus.Config{})}
	s := stream.NewStore(b, b.Info(), stream.Config{})
	t.Cleanup(s.Close)
	w := open(t, s, writing)
	r := read(t, s, w.ID(), bus.Cursor{})
	send(t, w, "a")
	if got := next(t, r, 1); got != "a" {
		t.Fatal(got)
	}
	send(t, w, "b") // is not delivered
	w.Abandon()
	cfg := writing
	cfg.Policy = stream.Resume
	w = open(t, s, cfg)
	send(t, w, "c")
	if got := next(t, r, 2); got != "b c" {
		t.Errorf("%q", got)
	}
}

// deafBus does not deliver the second chunk.
type deafBus struct{ bus.Bus }

func (b *deafBus) Follow(ctx context.Context, id bus.StreamID, deliver func(*bus.Entry)) (func(), error) {
	return b.Bus.Follow(ctx, id, func(e *bus.Entry) {
		if e == nil || e.First != 1 {
			deliver(e)
		}
	})
}

func TestReaderThatIsSlowReadsTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := membus.New(membus.Config{})
		s := stream.NewStore(b, b.Info(), stream.Config{LiveEntries: 4, LiveBytes: 100})
		defer s.Close()
		w := open(t, s, writing)
		r := read(t, s, w.ID(), bus.Cursor{})
		send(t, w, "0")
		if got := next(t, r, 1); got != "0" {
			t.Fatal(got)
		}
		const n = 1000 // so that the last entry overflows the queue
		for i := 1; i < n; i++ {
			send(t, w, fmt.Sprint(i))
		}
		synctest.Wait() // all has been delivered
		begin := time.Now()
		for i := 1; i < n; i++ {
			if got := next(t, r, 1); got != fmt.Sprint(i) {
				t.Fatalf("%q at %d", got, i)
			}
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("waited %v", took)
		}
	})
}

func TestReaderBeyondTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := losing(t, bustest.FaultConfig{})
		w := open(t, s, writing)
		send(t, w, "a")
		for _, from := range []bus.Cursor{{Attempt: 1, Index: 2}, {Attempt: 2}} {
			r := read(t, s, w.ID(), from)
			if _, err := r.Next(t.Context()); !errors.Is(err, stream.ErrExpired) {
				t.Errorf("from %v: %v", from, err)
			}
		}
		r := read(t, s, bus.StreamID{Session: "session", Stream: "none"}, bus.Cursor{Attempt: 1, Index: 1})
		if _, err := r.Next(t.Context()); !errors.Is(err, stream.ErrExpired) {
			t.Errorf("of a stream that is not there: %v", err)
		}
	})
}

func TestReaderOfAnExpiredBeginning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := losing(t, bustest.FaultConfig{})
		w := open(t, s, writing)
		send(t, w, "a", "b")
		pause(t.Context(), 40*time.Minute)
		send(t, w, "c")
		pause(t.Context(), 40*time.Minute)
		if _, err := read(t, s, w.ID(), bus.Cursor{}).Next(t.Context()); !errors.Is(err, stream.ErrExpired) {
			t.Errorf("from the beginning: %v", err)
		}
		if got := next(t, read(t, s, w.ID(), bus.Cursor{Attempt: 1, Index: 2}), 1); got != "c" {
			t.Errorf("from what is left: %q", got)
		}
	})
}

func TestReaderAtTheEnd(t *testing.T) {
	t.Parallel()
	s := setup(t, stream.Config{})
	w := open(t, s, writing)
	if err := w.Send(t.Context(), []byte("a")); err != nil {
		t.Fatal(err)
	}
	end(t, w)
	r := read(t, s, w.ID(), bus.Cursor{})
	if got := next(t, r, 1); got != "a" {
		t.Fatal(got)
	}
	if got := next(t, read(t, s, w.ID(), r.Cursor()), 1); got != "completed" {
		t.Errorf("behind the last chunk: %q", got)
	}
	if got := next(t, r, 1); got != "completed" {
		t.Fatal(got)
	}
	if _, err := read(t, s, w.ID(), r.Cursor()).Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %v", err)
	}
}

func TestReaderSeesEachSupersedingOnce(t *testing.T) {
	t.Parallel()
	b := membus.New(membus.Config{MaxBody: 10})
	s := stream.NewStore(b, b.Info(), stream.Config{})
	t.Cleanup(s.Close)
	w1 := open(t, s, writing)
	live := read(t, s, w1.ID(), bus.Cursor{})
	send(t, w1, "a", "b", "c")
	if got := next(t, live, 3); got != "a b c" {
		t.Fatal(got)
	}
	resumed := read(t, s, w1.ID(), live.Cursor())
	follow := func() { // the second attempt begins with half a chunk and dies
		err := appendHalf(t.Context(), b, w1.ID())
		if err != nil {
			t.Fatal(err)
		}
	}
	follow()
	if got := next(t, live, 1); got != "<0" {
		t.Fatal(got)
	}
	fromSuperseded := read(t, s, w1.ID(), live.Cursor())
	w3 := open(t, s, writing)
	send(t, w3, "A", strings.Repeat("B", 25))
	end(t, w3)
	want := "A " + strings.Repeat("B", 25) + " completed"
	for name, c := range map[string]struct {
		r    *stream.Reader
		want string
	}{
		"live": {live, want}, "late": {read(t, s, w1.ID(), bus.Cursor{}), want},
		"resumed behind the superseding": {fromSuperseded, want}, "resumed before it": {resumed, "<0 " + want},
	} {
		if got := next(t, c.r, len(strings.Fields(c.want))); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// appendHalf begins attempt 2 of a stream with a part of its first chunk.
func appendHalf(ctx context.Context, b bus.Log, id bus.StreamID) error {
	last, err := b.Last(ctx, id)
	if err != nil {
		return err
	}
	_, err = b.Append(ctx, &bus.Frame{
		ID: id, Attempt: 2, Writer: "second", Type: bus.Text, Begin: true, After: last.End(),
		Lengths: []int{4}, More: true, Body: []byte("half"),
	}, last)

	return err
}

func TestChunksOfEveryEnd(t *testing.T) {
	t.Parallel()
	s := setup(t, stream.Config{})
	collect := func(r *stream.Reader) (text string, err error) {
		for c, err := range r.Chunks(t.Context()) {
			if err != nil {
				return text, err
			}
			text += string(c.Data)
		}

		return text, nil
	}
	for name, finish := range map[string]func(*stream.Writer) error{
		"failed":    func(w *stream.Writer) error { return w.Fail(t.Context(), "why") },
		"cancelled": func(w *stream.Writer) error { return w.Cancel(t.Context(), "why") },
	} {
		cfg := writing
		cfg.Info.Stream = name
		w := open(t, s, cfg)
		send(t, w, "a")
		if err := finish(w); err != nil {
			t.Fatal(err)
		}
		var end *stream.EndError
		text, err := collect(read(t, s, w.ID(), bus.Cursor{}))
		if text != "a" || !errors.As(err, &end) || string(end.End.State) != name || end.End.Reason != "why" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	w := open(t, s, writing)
	r := read(t, s, w.ID(), bus.Cursor{})
	send(t, w, "a")
	for c, err := range r.Chunks(t.Context()) {
		if string(c.Data) != "a" || err != nil {
			t.Fatalf("%q, %v", c.Data, err)
		}
		send(t, open(t, s, writing), "A")

		break
	}
	if _, err := collect(r); !errors.Is(err, stream.ErrSuperseded) {
		t.Errorf("superseded: %v", err)
	}
}

func TestReadAllFollowsSupersedings(t *testing.T) {
	t.Parallel()
	s := setup(t, stream.Config{})
	w := open(t, s, writing)
	send(t, w, "a", "b", "c")
	all, tail := read(t, s, w.ID(), bus.Cursor{}), read(t, s, w.ID(), bus.Cursor{Attempt: 1, Index: 2})
	type result struct {
		text []byte
		err  error
	}
	results := make(chan result, 2)
	for _, r := range []*stream.Reader{all, tail} {
		go func() {
			text, err := r.ReadAll(t.Context())
			results <- result{text, err}
		}()
	}
	w.Abandon()
	cfg := writing
	cfg.Policy = stream.Resume
	w = open(t, s, cfg)
	send(t, w, "d")
	w.Abandon()
	w = open(t, s, writing)
	send(t, w, "A")
	end(t, w)
	for range 2 {
		if got := <-results; string(got.text) != "A" || got.err != nil {
			t.Errorf("%q, %v", got.text, got.err)
		}
	}
}

func TestReaderCanBeClosedAtAnyTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := losing(t, bustest.FaultConfig{})
		r := read(t, s, bus.StreamID{Session: "session", Stream: "stream"}, bus.Cursor{})
		failed := make(chan error)
		go func() {
			_, err := r.Next(t.Context())
			failed <- err
		}()
		synctest.Wait()
		r.Close()
		r.Close()
		if err := <-failed; !errors.Is(err, stream.ErrClosed) {
			t.Errorf("waiting: %v", err)
		}
		other := read(t, s, bus.StreamID{Session: "session", Stream: "stream"}, bus.Cursor{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := other.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("its context ended: %v", err)
		}
		s.Close()
		if _, err := other.Next(t.Context()); !errors.Is(err, stream.ErrClosed) {
			t.Errorf("store closed: %v", err)
		}
		if _, err := s.OpenReader(t.Context(), other.ID(), bus.Cursor{}); !errors.Is(err, stream.ErrClosed) {
			t.Errorf("open on a closed store: %v", err)
		}
	})
}

func TestCorruptEntriesOfTheLogAreErrors(t *testing.T) {
	t.Parallel()
	for _, reason := range []error{bus.ErrCorrupt, bus.ErrUnsupported} {
		synctest.Test(t, func(t *testing.T) {
			s, b := faulty(t, stream.Config{})
			w := open(t, s, writing)
			send(t, w, "a")
			b.FailNext(bustest.OpRead, reason, false)
			r := read(t, s, w.ID(), bus.Cursor{})
			begin := time.Now()
			if _, err := r.Next(t.Context()); !errors.Is(err, reason) {
				t.Errorf("%v", err)
			}
			if got := next(t, r, 1); got != "a" || time.Since(begin) > 0 {
				t.Errorf("afterwards: %q after %v", got, time.Since(begin))
			}
		})
	}
}
