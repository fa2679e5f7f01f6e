package bustest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// handed is one call of serve, which waits until the case returns it.
type handed struct {
	ctx   context.Context //nolint:containedctx // The argument of serve.
	claim bus.Claim
	at    time.Time
	done  chan struct{}
}

// next asks the claim for its letter, again when there is no answer.
func (h handed) next() (*bus.Letter, error) {
	for {
		l, err := h.claim.Next(h.ctx)
		if !errors.Is(err, bus.ErrUnknown) || !pause(h.ctx) {
			return l, err
		}
	}
}

// reception is what a case sees of the claims of one mailbox.
//
// A claim may be lost at any time, with nothing but the machine's slowness for a reason. The mailbox is handed out
// again then, so cases go on with the claim that they are given next. It also means one more delivery, so deliveries
// are exact only where everything took less than a lease.
type reception struct {
	claims <-chan handed
	lease  time.Duration

	letter       string // the one seen last
	deliveries   int    // of it
	before, last time.Time
}

// hand works on a component and hands every claim to the case; serve returns when the claim's done is closed.
func (s *suite) hand(t *testing.T, b bus.Bus, component string) *reception {
	t.Helper()

	claims, end := make(chan handed), make(chan struct{})
	lease := s.features.Lease

	work(t, b, component, bus.WorkConfig{Lease: lease}, func(ctx context.Context, c bus.Claim) {
		h := handed{ctx: ctx, claim: c, at: time.Now(), done: make(chan struct{})}
		select {
		case claims <- h:
		case <-end:
			return
		}

		select {
		case <-h.done:
		case <-end:
		}
	})
	t.Cleanup(func() { close(end) })

	now := time.Now()

	return &reception{claims: claims, lease: lease, before: now, last: now}
}

// next waits for a claim that still holds, which must be on this letter.
func (r *reception) next(t *testing.T, id string) (handed, *bus.Letter) {
	t.Helper()

	h, l := r.any(t)
	r.check(t, l, id)

	return h, l
}

// again returns what the same claim says once more, or the next one after it was lost.
func (r *reception) again(t *testing.T, h handed) (handed, *bus.Letter) {
	t.Helper()

	l, err := h.next()
	if err == nil {
		return h, l
	}

	r.lost(t, h, err)

	return r.next(t, r.letter)
}

// second does the first letter and expects the second one.
func (r *reception) second(t *testing.T, h handed, l *bus.Letter) (handed, *bus.Letter) {
	t.Helper()

	for done := l.ID; l.ID == done; {
		err := h.claim.Done(h.ctx, l)
		if err == nil {
			l, err = h.next()
		}

		if err != nil {
			r.lost(t, h, err)
			h, l = r.any(t)
		}
	}

	r.check(t, l, "turn-1")

	return h, l
}

// release gives the mailbox back, and reports whether it surely did.
func (r *reception) release(t *testing.T, h handed, delay time.Duration) bool {
	t.Helper()

	err := h.claim.Release(h.ctx, delay)
	if err != nil && !errors.Is(err, bus.ErrLost) && !errors.Is(err, bus.ErrUnknown) {
		t.Fatalf("release: %v", err)
	}

	close(h.done)

	return err == nil
}

// any waits for a claim that holds a letter.
func (r *reception) any(t *testing.T) (handed, *bus.Letter) {
	t.Helper()

	for {
		h := receive(t, "mailbox", r.claims)

		l, err := h.next()
		if err != nil {
			r.lost(t, h, err)

			continue
		}

		if l == nil {
			t.Fatal("the mailbox was empty")
		}

		return h, l
	}
}

// lost ends serve after its claim was lost, and fails the test on another error.
func (r *reception) lost(t *testing.T, h handed, err error) {
	t.Helper()

	if !errors.Is(err, bus.ErrLost) && !errors.Is(err, bus.ErrUnknown) && h.ctx.Err() == nil {
		t.Fatalf("serve: %v", err)
	}

	t.Logf("lost a claim: %v", err)
	close(h.done)
}

// check expects a letter and how often it was delivered. A delivery that the case did not see began after the claim
// before the last one ended, and lasted a lease.
func (r *reception) check(t *testing.T, l *bus.Letter, id string) {
	t.Helper()

	want := 1
	if id == r.letter {
		want = r.deliveries + 1
	}

	slow := time.Since(r.before) >= r.lease
	if l == nil || l.ID != id || l.Deliveries < want || l.Deliveries > want && !slow {
		t.Fatalf("next letter is %+v, want %s delivered %d times", l, id, want)
	}

	r.letter, r.deliveries = id, l.Deliveries
	r.before, r.last = r.last, time.Now()
}

// finish does the letters that are left and gives the mailbox back.
func finish(t *testing.T, h handed) {
	t.Helper()

	serveAll(t, func(*bus.Letter) {})(h.ctx, h.claim)
	close(h.done)
}
