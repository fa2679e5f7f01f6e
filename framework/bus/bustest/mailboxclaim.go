package bustest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func claimCases() []promise {
	return []promise{
		{name: "claim/is taken over after a crash", run: takenOver},
		{name: "claim/lapses when serve just returns", run: serveReturns},
		{name: "claim/is renewed while serve runs", run: leaseRenewed},
		{name: "claim/released with a delay", run: releaseDelays},
		{name: "claim/released at once", run: releaseAtOnce},
		{name: "claim/deliveries are counted anew for each letter", run: deliveriesCounted},
		{name: "claim/released unread doesn't count as a delivery", run: unreadUncounted},
		{name: "claim/takes no room while it rests", run: restsAside},
		{name: "claim/next gives the same letter until it is done", run: nextRepeats},
		{name: "claim/is lost by a worker that was paused", run: lostWhenPaused},
	}
}

// wantWithin fails the test when an event came outside of its time, which is counted from when it was waited for.
func (s *suite) wantWithin(t *testing.T, what string, got, least, most time.Duration) {
	t.Helper()

	if got < least || got > most+s.features.LeaseSlack {
		t.Errorf("%s after %v, want it after %v to %v", what, got, least, most+s.features.LeaseSlack)
	}
}

func takenOver(t *testing.T, s *suite) {
	component, session := newID("c"), newID("s")
	dying, living := s.open(t), s.open(t)
	mustPost(t, living, component, session, 0, 2)

	old, _ := s.hand(t, dying, component).next(t, "turn-0")
	next := s.hand(t, living, component)
	next.letter, next.deliveries = "turn-0", 1
	died := time.Now()
	s.kill(t, dying)

	h, _ := next.next(t, "turn-0")
	s.wantWithin(t, "taken over", h.at.Sub(died), 0, s.features.Lease)

	if _, err := old.claim.Next(t.Context()); err == nil {
		t.Error("the dead worker's claim goes on")
	}

	finish(t, h)
}

func serveReturns(t *testing.T, s *suite) {
	component, b := newID("c"), s.open(t)
	mustPost(t, b, component, newID("s"), 0, 1)

	r := s.hand(t, b, component)
	h, _ := r.next(t, "turn-0")

	returned := time.Now()
	close(h.done)

	h, _ = r.next(t, "turn-0")
	s.wantWithin(t, "handed out again", h.at.Sub(returned), 0, s.features.Lease)
	finish(t, h)
}

// leaseRenewed expects one of a few claims to hold for much longer than its lease. Each of them can be lost where the
// machine stands still for a lease, but then its worker must know before another one has the mailbox.
func leaseRenewed(t *testing.T, s *suite) {
	const tries = 5

	component, b, other := newID("c"), s.open(t), s.open(t)

	for range tries {
		session := newID("s")
		mustPost(t, b, component, session, 0, 1)

		if s.holdsLong(t, b, other, component) {
			return
		}
	}

	t.Errorf("none of %d claims was renewed for three leases", tries)
}

// holdsLong reports whether a claim is held for three leases while another worker looks for mailboxes.
func (s *suite) holdsLong(t *testing.T, b, other bus.Bus, component string) bool {
	t.Helper()

	h, _ := s.hand(t, b, component).next(t, "turn-0")
	others := s.hand(t, other, component)

	long := time.NewTimer(3 * s.features.Lease)
	defer long.Stop()

	var over bool

	select {
	case taker := <-others.claims:
		over = true

		defer finish(t, taker)
	case <-h.ctx.Done():
		over = true
	case <-long.C:
	}

	l, err := h.next()
	if err == nil && over {
		t.Error("a claim goes on that is over")
	}

	if err == nil && l.ID == "turn-0" {
		finish(t, h)

		return !over
	}

	wantErr(t, "next letter after a while", err, bus.ErrLost)
	close(h.done)

	return false
}

func releaseDelays(t *testing.T, s *suite) {
	const delay = 500 * time.Millisecond

	component, session, b := newID("c"), newID("s"), s.open(t)
	mustPost(t, b, component, session, 0, 2)

	r := s.hand(t, b, component)
	h, _ := r.next(t, "turn-0")

	released := time.Now()
	sure := r.release(t, h, delay)

	mustPost(t, b, component, session, 2, 3) // Must not shorten the delay.

	h, first := r.next(t, "turn-0")
	if sure {
		s.wantWithin(t, "handed out again", h.at.Sub(released), delay-10*time.Millisecond, delay)
	}

	h, _ = r.second(t, h, first)
	finish(t, h)
}

func releaseAtOnce(t *testing.T, s *suite) {
	component, b := newID("c"), s.open(t)
	mustPost(t, b, component, newID("s"), 0, 1)

	r := s.hand(t, b, component)
	begun, sure := time.Now(), true

	for range 5 {
		h, _ := r.next(t, "turn-0")
		sure = r.release(t, h, 0) && sure
	}

	h, _ := r.next(t, "turn-0")
	if sure {
		s.wantWithin(t, "five releases", time.Since(begun), 0, 0)
	}

	finish(t, h)
}

func deliveriesCounted(t *testing.T, s *suite) {
	component, b := newID("c"), s.open(t)
	mustPost(t, b, component, newID("s"), 0, 2)

	r := s.hand(t, b, component)
	h, _ := r.next(t, "turn-0")
	r.release(t, h, 0)

	h, l := r.next(t, "turn-0")
	h, _ = r.second(t, h, l)
	r.release(t, h, 0)

	h, _ = r.next(t, "turn-1")
	finish(t, h)
}

func unreadUncounted(t *testing.T, s *suite) {
	component, b := newID("c"), s.open(t)
	mustPost(t, b, component, newID("s"), 0, 2)

	r := s.hand(t, b, component)

	for range 2 { // nobody looks
		h := receive(t, "mailbox", r.claims)
		r.release(t, h, 0)
	}

	h, l := r.next(t, "turn-0")

	if err := h.claim.Done(h.ctx, l); err != nil {
		r.lost(t, h, err)
		h, _ = r.any(t)
	}

	r.release(t, h, 0) // nobody has looked at the second letter

	h, _ = r.next(t, "turn-1")
	finish(t, h)
}

// restsAside lets claims rest in a worker with room for one.
func restsAside(t *testing.T, s *suite) {
	component, b := newID("c"), s.open(t)
	claims := make(chan handed)

	stop := work(t, b, component, bus.WorkConfig{Concurrency: 1, Lease: s.features.Lease}, func(ctx context.Context, c bus.Claim) {
		h := handed{ctx: ctx, claim: c, at: time.Now(), done: make(chan struct{})}
		claims <- h
		<-h.done
	})

	const n = 3

	open, resting := make([]handed, 0, n+1), make([]func() bool, 0, n)

	for range n {
		mustPost(t, b, component, newID("s"), 0, 1)

		h := receive(t, "mailbox", claims)
		open, resting = append(open, h), append(resting, h.claim.Rest())
	}

	for i, want := range []bool{true, false, false} { // and the first again
		if resting[i]() != want || !resting[0]() {
			t.Error("room for one is not room for the first claim that asks")
		}
	}

	mustPost(t, b, component, newID("s"), 0, 1)

	later := make(chan handed, 1)

	go func() { later <- <-claims }()

	finish(t, open[0])
	open = append(open[1:], receive(t, "mailbox", later)) // the room of the first

	if resting[1]() {
		t.Error("there is room beside a claim that has it")
	}

	for _, h := range open {
		finish(t, h)
	}

	if err := stop(); err != nil {
		t.Errorf("work: %v", err)
	}
}

func nextRepeats(t *testing.T, s *suite) {
	component, b := newID("c"), s.open(t)
	mustPost(t, b, component, newID("s"), 0, 2)

	r := s.hand(t, b, component)
	h, first := r.next(t, "turn-0")

	h, second := r.again(t, h)
	if first.ID != second.ID || first.Position != second.Position {
		t.Errorf("letter is %+v, was %+v", second, first)
	}

	h, last := r.second(t, h, second)

	err := h.claim.Done(h.ctx, last)
	if err == nil {
		last, err = h.next()
	}

	if (err != nil || last != nil) && !errors.Is(err, bus.ErrLost) {
		t.Errorf("next letter of an empty mailbox is %v, %v", last, err)
	}

	close(h.done)
}

func lostWhenPaused(t *testing.T, s *suite) {
	if s.Lapse == nil {
		t.Skip("the harness can't pause a worker of this bus")
	}

	component := newID("c")
	paused, living := s.open(t), s.open(t)
	mustPost(t, living, component, newID("s"), 0, 2)

	old, first := s.hand(t, paused, component).next(t, "turn-0")
	others := s.hand(t, living, component)
	others.letter, others.deliveries = "turn-0", 1

	s.Lapse(t, paused)

	h, l := others.next(t, "turn-0")

	wantErr(t, "done by the paused worker", old.claim.Done(t.Context(), first), bus.ErrLost)
	_, err := old.claim.Next(t.Context())
	wantErr(t, "next of the paused worker", err, bus.ErrLost)
	wantErr(t, "release by the paused worker", old.claim.Release(t.Context(), 0), bus.ErrLost)
	receive(t, "end of the paused worker's context", old.ctx.Done())

	h, _ = others.second(t, h, l)
	finish(t, h)
}

// crashing counts what a worker that may be killed still gets to do.
type crashing struct {
	bus  bus.Bus
	dead atomic.Bool
}

// gone reports whether an error is what a worker sees that was killed, or lost its claim.
func gone(err error) bool {
	return errors.Is(err, bus.ErrClosed) || errors.Is(err, bus.ErrLost) || errors.Is(err, context.Canceled)
}
