package bustest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func adoptCases() []promise {
	return []promise{
		{name: "adopt/a claim goes on where its ticket is adopted", run: adopted},
		{name: "adopt/a ticket that nobody adopts is worth a lease", run: notAdopted},
		{name: "adopt/a ticket that comes late is refused", run: adoptedLate},
		{name: "adopt/only a claim that has not begun is given", run: givenFresh},
		{name: "adopt/adopted mailboxes count as worked on", run: adoptedCount},
		{name: "adopt/needs a worker of the component", run: adoptedNowhere},
		{name: "adopt/is handed on and on", run: handedOn, faults: true},
	}
}

// give gives a claim away. It may have been lost meanwhile, for which a slow machine is reason enough.
func (h handed) give() (*bus.Ticket, error) {
	defer close(h.done)

	return h.claim.Give()
}

// adopt lets a worker adopt a claim as soon as it works. It reports false when the claim was lost meanwhile.
func adopt(t *testing.T, taker bus.Bus, component string, ask func() (*bus.Ticket, error)) bool {
	t.Helper()

	ctx := within(t)

	for {
		done, err := taker.Adopt(ctx, component, func(context.Context) (*bus.Ticket, error) { return ask() })
		if err != nil && !errors.Is(err, bus.ErrLost) {
			t.Fatalf("adopt: %v", err)
		}

		if done || err != nil {
			return done && err == nil
		}

		if !pause(ctx) {
			t.Fatal("the worker never adopted anything")
		}
	}
}

// adopted lets one worker give away what it was handed, and expects the other one to have it, as if it were the first
// delivery, for longer than a lease.
func adopted(t *testing.T, s *suite) {
	const tries = 5

	giver, taker := s.open(t), s.open(t)

	for range tries {
		component, session := newID("c"), newID("s")
		mustPost(t, giver, component, session, 0, 2)

		from := s.hand(t, giver, component)
		h := receive(t, "mailbox", from.claims)

		if got := h.claim.Session(); got != session {
			t.Errorf("the claim is of session %s, want %s", got, session)
		}

		to := s.hand(t, taker, component)

		if adopt(t, taker, component, h.give) && s.heldOn(t, to, from, session) {
			return
		}
	}

	t.Errorf("none of %d claims was held for two leases after it was adopted", tries)
}

// heldOn reports whether the adopted claim was held for two leases while the giver looked for mailboxes.
func (s *suite) heldOn(t *testing.T, to, from *reception, session string) bool {
	t.Helper()

	h := receive(t, "adopted mailbox", to.claims)
	defer close(h.done)

	if got := h.claim.Session(); got != session {
		t.Errorf("the adopted claim is of session %s, want %s", got, session)
	}

	l, err := h.next()
	if err != nil {
		return false
	}

	if l == nil || l.ID != "turn-0" || l.Session != session {
		t.Fatalf("the adopted claim has letter %+v, want turn-0", l)
	}

	if l.Deliveries != 1 {
		return false // the claim had been lost before it was given
	}

	long := time.NewTimer(2 * s.features.Lease)
	defer long.Stop()

	select {
	case other := <-from.claims:
		defer finish(t, other)

		return false
	case <-h.ctx.Done():
		return false
	case <-long.C:
	}

	err = h.claim.Done(h.ctx, l)
	if err != nil {
		return false
	}

	if l, err := h.next(); err != nil || l.ID != "turn-1" || l.Deliveries != 1 {
		t.Errorf("the second letter is %+v, %v", l, err)
	}

	serveAll(t, func(*bus.Letter) {})(h.ctx, h.claim)

	return true
}

func notAdopted(t *testing.T, s *suite) {
	b, component := s.open(t), newID("c")
	mustPost(t, b, component, newID("s"), 0, 1)

	r := s.hand(t, b, component)
	h := receive(t, "mailbox", r.claims)
	given := time.Now()

	ticket, err := h.give()
	if err == nil && ticket.Left > s.features.Lease {
		t.Errorf("a ticket lasts %v, longer than the lease of %v", ticket.Left, s.features.Lease)
	}

	if _, err := h.claim.Next(t.Context()); !errors.Is(err, bus.ErrLost) {
		t.Errorf("next letter of what was given away: %v", err)
	}

	if err := h.claim.Release(t.Context(), 0); !errors.Is(err, bus.ErrLost) {
		t.Errorf("release what was given away: %v", err)
	}

	if _, err := h.claim.Give(); !errors.Is(err, bus.ErrLost) {
		t.Errorf("give away twice: %v", err)
	}

	h, _ = r.any(t)
	s.wantWithin(t, "handed out again", h.at.Sub(given), 0, s.features.Lease)
	finish(t, h)
}

// adoptedLate holds a ticket back until the mailbox has been handed out again.
func adoptedLate(t *testing.T, s *suite) {
	giver, taker, component := s.open(t), s.open(t), newID("c")
	mustPost(t, giver, component, newID("s"), 0, 1)

	r := s.hand(t, giver, component)
	h := receive(t, "mailbox", r.claims)

	work(t, taker, component, bus.WorkConfig{Lease: s.features.Lease}, serveAll(t, func(*bus.Letter) {}))

	late := func() (*bus.Ticket, error) {
		ticket, err := h.give()
		if err != nil {
			return nil, err
		}

		over := time.NewTimer(ticket.Left)
		defer over.Stop()

		<-over.C

		return ticket, nil
	}

	if adopt(t, taker, component, late) {
		t.Error("adopted a claim whose ticket came after its lease")
	}
}

func givenFresh(t *testing.T, s *suite) {
	b, component := s.open(t), newID("c")
	mustPost(t, b, component, newID("s"), 0, 1)

	h, _ := s.hand(t, b, component).next(t, "turn-0")

	if _, err := h.claim.Give(); !errors.Is(err, bus.ErrInvalid) && !errors.Is(err, bus.ErrLost) {
		t.Errorf("give after the first letter was seen: %v", err)
	}

	finish(t, h)
}

// adoptedCount fills a worker that works on one mailbox at a time with adopted ones, while others wait for it: never does
// it have two.
func adoptedCount(t *testing.T, s *suite) {
	const n = 20

	giver, taker, component := s.open(t), s.open(t), newID("c")
	all, done := make(chan string, 2*n), map[string]bool{}

	var inside, over atomic.Int32

	work(t, taker, component, bus.WorkConfig{Concurrency: 1}, func(ctx context.Context, c bus.Claim) {
		if inside.Add(1) > 1 {
			over.Add(1)
		}

		pause(ctx) // Time enough for the others to come, too.
		serveAll(t, func(l *bus.Letter) { all <- l.Session })(ctx, c)
		inside.Add(-1)
	})

	work(t, giver, component, bus.WorkConfig{}, func(ctx context.Context, c bus.Claim) {
		kept := c

		adopted, err := taker.Adopt(ctx, component, func(context.Context) (*bus.Ticket, error) {
			ticket, err := c.Give()
			if err == nil {
				kept = nil
			}

			return ticket, err
		})
		if err != nil && !errors.Is(err, bus.ErrLost) {
			t.Errorf("adopt: %v", err)
		}

		if !adopted && kept != nil {
			serveAll(t, func(l *bus.Letter) { all <- l.Session })(ctx, kept)
		}
	})

	for range n {
		mustPost(t, giver, component, newID("s"), 0, 1)
	}

	for len(done) < n {
		done[receive(t, "letter", all)] = true
	}

	if n := over.Load(); n > 0 {
		t.Errorf("a worker that works on one mailbox at a time was given one more %d times", n)
	}
}

func adoptedNowhere(t *testing.T, s *suite) {
	b, component := s.open(t), newID("c")
	stop := work(t, b, component, bus.WorkConfig{}, serveAll(t, func(*bus.Letter) {}))

	never := func(context.Context) (*bus.Ticket, error) {
		t.Error("a ticket was asked for that nobody can adopt")

		return nil, bus.ErrLost
	}

	if ok, err := b.Adopt(t.Context(), component+"x", never); ok || err != nil {
		t.Errorf("adopted for a component that nobody works on: %v, %v", ok, err)
	}

	if err := stop(); err != nil {
		t.Errorf("work: %v", err)
	}

	if ok, err := b.Adopt(t.Context(), component, never); ok || err != nil {
		t.Errorf("adopted after the worker ended: %v, %v", ok, err)
	}
}

// handedOn gives each mailbox from worker to worker, round and round; each letter is done once, in order.
func handedOn(t *testing.T, s *suite) {
	const workers, sessions, letters, hops = 3, 5, 6, 4

	component := newID("c")
	buses := make([]bus.Bus, workers)

	ids := make([]string, sessions)
	for i := range ids {
		ids[i] = newID("s")
	}

	l := newLedger(t, ids, letters)

	for i := range buses {
		buses[i] = s.open(t)
	}

	for i, b := range buses {
		serve, next := l.serve(&crashing{bus: b}, false), buses[(i+1)%workers]

		var handed atomic.Int32

		work(t, b, component, bus.WorkConfig{}, func(ctx context.Context, c bus.Claim) {
			kept := c

			if handed.Add(1)%hops != 0 {
				_, err := next.Adopt(ctx, component, func(context.Context) (*bus.Ticket, error) {
					ticket, err := c.Give()
					if err == nil {
						kept = nil
					}

					return ticket, err
				})
				if err != nil && !errors.Is(err, bus.ErrLost) {
					t.Errorf("adopt: %v", err)
				}
			}

			if kept != nil {
				serve(ctx, kept)
			}
		})
	}

	for _, id := range ids {
		mustPost(t, buses[0], component, id, 0, letters)
	}

	l.await(buses[0])
}
