package natsbus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/crew"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus/internal/mailbox"
)

// What a worker answers to a delivery.
const (
	ackDone    = "+ACK"
	ackNone    = "-NAK"
	ackWorking = "+WPI"
)

// settleTimeout bounds the cleaning after a claim that came to its end; what it leaves is cleaned later.
const settleTimeout = 5 * time.Second

// delivery is an entry of a mailbox's register as it was delivered.
type delivery struct {
	box   *box
	entry mailbox.Entry
	nth   int    // of the entry's deliveries, from 1
	ack   string // the subject that renews and ends it
}

// claim is a worker's hold on a mailbox, for as long as its lease is renewed.
type claim struct {
	delivery
	*crew.Place

	w        *worker
	id       uint64         // among the worker's claims
	inner    *mailbox.Claim // nil before open
	began    time.Time
	begun    bool                 // Next was called
	term     atomic.Pointer[term] // of the lease as far as this process knows
	timer    *time.Timer          // ends the claim with its lease, whatever who renews it waits for
	released atomic.Bool
	ctx      context.Context //nolint:containedctx // serve's context, whose end is the end of the claim
	lose     context.CancelCauseFunc
}

var _ bus.Claim = (*claim)(nil)

// newClaim begins a claim on a delivery. The server can't have made it before it was asked for, so the lease counts
// from then; where that is a while ago, the claim is renewed at once.
func (w *worker) newClaim(d delivery, asked time.Time) *claim {
	return w.newClaimUntil(d, asked.Add(w.lease))
}

// newClaimUntil is newClaim where the lease is known to last until then.
func (w *worker) newClaimUntil(d delivery, until time.Time) *claim {
	c := &claim{delivery: d, Place: w.room.Place(), w: w, began: time.Now()}
	c.term.Store(termUntil(until))
	c.ctx, c.lose = context.WithCancelCause(w.serveCtx)
	w.leases.add(c)
	c.timer = time.AfterFunc(w.lease, c.lapse)
	c.timer.Reset(c.term.Load().left())

	if until.Sub(c.began) < w.lease-w.lease/(2*renewals) {
		w.leases.sign(c)
	}

	return c
}

// open reads what the delivery is about. It reports whether it calls for a worker at all.
func (c *claim) open() (bool, error) {
	var err error
	c.inner, err = c.box.protocol().Open(c.ctx, c.entry, c.nth)

	return c.inner != nil, err
}

// extend makes the lease longer unless it has passed: what has passed others may have by now.
func (c *claim) extend(to *term) {
	for {
		have := c.term.Load()
		if !to.mono.After(have.mono) || have.left() < 0 || c.term.CompareAndSwap(have, to) {
			return
		}
	}
}

// lapse ends the claim if its lease was not renewed meanwhile.
func (c *claim) lapse() {
	if !c.expired() {
		c.timer.Reset(max(0, c.term.Load().left()))
	}
}

// expired reports whether the lease has passed, which loses the claim.
func (c *claim) expired() bool {
	passed := c.term.Load().left() < 0
	if passed {
		c.w.leases.remove(c)
		c.lose(bus.ErrLost)
	}

	return passed
}

// end stops renewing the claim.
func (c *claim) end() {
	c.letGo()
	c.lose(context.Canceled)
}

// letGo leaves the lease to its end.
func (c *claim) letGo() {
	c.w.leases.remove(c)
	c.timer.Stop()
}

// check returns why the claim can't be used any more, or nil.
func (c *claim) check() error {
	if c.released.Load() {
		return fmt.Errorf("released: %w", bus.ErrLost)
	}

	if c.w.bus.isClosing() {
		return c.w.bus.closedError()
	}

	_ = c.expired()

	return context.Cause(c.ctx)
}

// outcome makes an error of an operation the claim's where that is why it failed.
func (c *claim) outcome(op string, err error) error {
	if err == nil {
		return nil
	}

	if errors.Is(err, bus.ErrLost) {
		c.lose(bus.ErrLost)
	}

	if lost := c.check(); lost != nil {
		err = lost
	}

	return fmt.Errorf("%s: %w", op, err)
}

// Session implements [bus.Claim].
func (c *claim) Session() string { return c.box.session }

// Next implements [bus.Claim].
func (c *claim) Next(ctx context.Context) (*bus.Letter, error) {
	c.begun = true

	if err := c.check(); err != nil {
		return nil, fmt.Errorf("next letter: %w", err)
	}

	ctx, stop := c.during(ctx)
	defer stop()

	l, err := c.inner.Next(ctx, c.passes())
	if err != nil {
		return nil, c.outcome("next letter", err)
	}

	if l == nil {
		return nil, nil //nolint:nilnil // no letter is an answer, not a failure
	}

	if err := c.check(); err != nil { // the read may have taken longer than the lease
		return nil, fmt.Errorf("next letter: %w", err)
	}

	return l, nil
}

// passes reports whether others are to have their turn.
func (c *claim) passes() bool {
	return c.w.room.Full() &&
		(c.inner.Finished() >= passAfterLetters || time.Since(c.began) >= passAfter)
}

// Done implements [bus.Claim].
func (c *claim) Done(ctx context.Context, l *bus.Letter) error {
	if err := c.check(); err != nil {
		return fmt.Errorf("letter done: %w", err)
	}

	ctx, stop := c.during(ctx)
	defer stop()

	return c.outcome("letter done", c.inner.Done(ctx, l))
}

// during returns a context that also ends with the claim: what its holder insists on is of no use after that.
func (c *claim) during(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	detach := context.AfterFunc(c.ctx, cancel)

	return ctx, func() { detach(); cancel() }
}

// Release implements [bus.Claim]. The register stays scheduled: the server holds the delivery back for the delay.
func (c *claim) Release(ctx context.Context, delay time.Duration) error {
	if err := c.check(); err != nil {
		return fmt.Errorf("release mailbox: %w", err)
	}

	if c.inner.Over() {
		return nil
	}

	if err := c.spare(ctx); err != nil {
		return c.outcome("release mailbox", err)
	}

	answer := ackNone
	if delay > 0 {
		answer += ` {"delay":` + strconv.FormatInt(int64(delay), 10) + `}`
	}

	c.released.Store(true)
	c.letGo() // a renewal would end the delay

	m := &nats.Msg{Subject: c.ack, Data: []byte(answer)}
	if _, err := c.w.bus.req.do(ctx, m, c.w.bus.cfg.AppendTimeout); err != nil {
		return fmt.Errorf("release mailbox: %w", err) // not tried again: by now another worker may have it
	}

	return nil
}

// spare lets the delivery not count for a letter that nobody has seen. Where that can't be noted, it counts.
func (c *claim) spare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.w.bus.cfg.AppendTimeout)
	defer cancel()

	if err := c.inner.Spare(ctx); errors.Is(err, bus.ErrLost) {
		return err
	}

	return nil
}

// settle ends the delivery of a mailbox that was given back.
func (c *claim) settle() error {
	if !c.inner.Over() || c.released.Load() {
		return nil
	}

	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), settleTimeout)
	defer cancel()

	if err := c.inner.Settle(ctx); err != nil {
		return fmt.Errorf("clean register: %w", err)
	}

	return c.w.bus.acknowledge(c.ack, ackDone)
}

// acknowledge answers a delivery without waiting. An answer that is lost leaves the entry to another delivery.
func (b *Bus) acknowledge(subject, answer string) error {
	if err := b.nc.Publish(subject, []byte(answer)); err != nil {
		return fmt.Errorf("answer delivery: %w", mapError(err))
	}

	return nil
}
