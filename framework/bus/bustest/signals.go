package bustest

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func signalCases() []promise {
	return []promise{
		{name: "signals/reach who listens, the sender too", run: signalsArrive},
		{name: "signals/about one stream only", run: signalsApart},
		{name: "signals/a listener may answer", run: signalsAnswered, faults: true},
		{name: "signals/none after stop", run: signalsStop},
		{name: "signals/too large", run: signalTooLarge},
		{name: "signals/go on after the connection broke", run: signalsAfterCut},
	}
}

// listen offers what is signalled about a stream to a channel.
func listen(t *testing.T, b bus.Bus, id bus.StreamID) <-chan string {
	t.Helper()

	got := make(chan string, 100)
	stop := must[func()](t)(b.Listen(t.Context(), id, func(data []byte) { offer(got, string(data)) }))
	t.Cleanup(stop)

	return got
}

// signalUntil repeats a signal until one arrives: a listener of another process is heard of a little later.
func signalUntil(t *testing.T, b bus.Bus, id bus.StreamID, got <-chan string) string {
	t.Helper()

	for ctx := within(t); ; {
		_ = b.Signal(ctx, id, []byte("hello")) // fails while the connection is broken

		select {
		case s := <-got:
			return s
		default:
		}

		if !pause(ctx) {
			t.Fatal("no signal arrives")
		}
	}
}

func signalsArrive(t *testing.T, s *suite) {
	one, two := s.open(t), s.open(t)
	id := newStream()
	own, other, again := listen(t, one, id), listen(t, two, id), listen(t, two, id)

	for i, got := range []<-chan string{own, other, again} {
		same(t, fmt.Sprint("signal ", i), "hello", signalUntil(t, one, id, got))
	}

	data := []byte("changed after the call")
	if err := one.Signal(t.Context(), id, data); err != nil {
		t.Fatal(err)
	}

	copy(data, "CHANGED")
	skipTo(t, other, func(got string) bool { return got == "changed after the call" })
}

func signalsApart(t *testing.T, s *suite) {
	b := s.open(t)
	id := newStream()
	got := listen(t, b, id)

	for _, other := range []bus.StreamID{
		{Session: id.Session, Stream: id.Stream + "x"}, {Session: id.Stream, Stream: id.Session},
	} {
		if err := b.Signal(t.Context(), other, []byte("another's")); err != nil {
			t.Fatal(err)
		}
	}

	same(t, "signal", "hello", signalUntil(t, b, id, got))
}

// signalsAnswered has a listener send from within its delivery.
func signalsAnswered(t *testing.T, s *suite) {
	one, two := s.open(t), s.open(t)
	id := newStream()
	got := listen(t, one, id)
	ctx := within(t)

	stop := must[func()](t)(two.Listen(ctx, id, func(data []byte) {
		if bytes.HasPrefix(data, []byte("ask")) {
			_ = two.Signal(ctx, id, []byte("answer"))
		}
	}))
	defer stop()

	for answered := false; !answered; {
		_ = one.Signal(ctx, id, []byte("ask"))

		for drained := false; !drained && !answered; {
			select {
			case s := <-got:
				answered = s == "answer"
			default:
				drained = true
			}
		}

		if !answered && !pause(ctx) {
			t.Fatal("no answer")
		}
	}
}

func signalsStop(t *testing.T, s *suite) {
	b := s.open(t)
	id := newStream()
	still := listen(t, b, id)

	for range 20 {
		var stopped atomic.Bool

		first := make(chan struct{}, 1)
		stop := must[func()](t)(b.Listen(t.Context(), id, func([]byte) {
			offer(first, struct{}{})
			pause(t.Context()) // Time enough for stop to be called meanwhile.

			if stopped.Load() {
				t.Error("delivery after stop, or stop did not wait for one")
			}
		}))

		for range 3 {
			if err := b.Signal(t.Context(), id, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}

		receive(t, "first signal", first)
		stop()
		stopped.Store(true)
		stop()
	}

	skipTo(t, still, func(string) bool { return true })
}

func signalTooLarge(t *testing.T, s *suite) {
	b := s.open(t)
	id := newStream()
	wantErr(t, "signal", b.Signal(t.Context(), id, noise(bus.MaxSignal+1)), bus.ErrTooLarge)

	if err := b.Signal(t.Context(), id, noise(bus.MaxSignal)); err != nil {
		t.Error(err)
	}
}

func signalsAfterCut(t *testing.T, s *suite) {
	if s.Cut == nil {
		t.Skip(noCut)
	}

	one, two := s.open(t), s.open(t)
	id := newStream()
	got := listen(t, two, id)
	signalUntil(t, one, id, got)
	s.Cut(t, one)
	s.Cut(t, two)

	for len(got) > 0 {
		<-got
	}

	signalUntil(t, one, id, got)
}
