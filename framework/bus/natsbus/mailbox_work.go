package natsbus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/crew"
)

// defaultLease is that of [bus.WorkConfig].
const defaultLease = 1500 * time.Millisecond

// When all of a worker's claims are in use, a mailbox with more letters is passed on to the end of the queue after
// this many letters or this long, whichever comes first, so that one full mailbox doesn't starve others.
const (
	passAfterLetters = 16
	passAfter        = time.Second
)

// worker is one call of Work.
type worker struct {
	bus       *Bus
	component string
	lease     time.Duration
	room      *crew.Room
	serve     func(context.Context, bus.Claim)
	leases    leases
	hungry    atomic.Bool // the last request for mailboxes brought less than was asked for, and no later one all

	serveCtx context.Context //nolint:containedctx // the parent of what each serve is given, until Work returns
	cancel   context.CancelCauseFunc
}

// Work takes mailboxes of a component that hold letters; see [bus.Mailbox]. It takes from one durable consumer that
// all workers of the component share and that it creates where there is none. It waits for connections and leaders to
// come back, and returns an error when the server refuses for good or the bus is closed.
func (b *Bus) Work(
	ctx context.Context, component string, cfg bus.WorkConfig, serve func(context.Context, bus.Claim),
) error {
	w := &worker{
		bus: b, component: component, serve: serve, lease: cmp.Or(max(cfg.Lease, 0), defaultLease),
		room: crew.NewRoom(cfg.Concurrency),
	}
	w.serveCtx, w.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	defer w.cancel(context.Canceled)

	if err := w.run(ctx); err != nil {
		return fmt.Errorf("work on %.80q: %w", component, err)
	}

	return nil
}

// Component implements [crew.Worker].
func (w *worker) Component() string { return w.component }

// End implements [crew.Worker].
func (w *worker) End(cause error) { w.cancel(cause) }

// run takes mailboxes until ctx or the bus ends, then waits for those that are served.
func (w *worker) run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)

	var ending sync.WaitGroup
	defer ending.Wait()

	silence, err := w.leases.listen(w.bus, w.lease)
	if err != nil {
		return err
	}
	defer silence()

	if !w.bus.workers.Join(w) {
		return w.bus.closedError()
	}
	defer w.bus.workers.Leave(w)

	renewing, stopRenewing := context.WithCancel(w.serveCtx)
	defer stopRenewing()

	ending.Go(func() { w.leases.renew(renewing) })
	ending.Go(func() {
		select {
		case <-w.bus.closing:
		case <-w.bus.done:
		case <-renewing.Done():
			return
		}

		stop(w.bus.closedError())
		w.cancel(w.bus.closedError())
	})

	defer w.room.Close()

	err = w.take(ctx)
	if cause := context.Cause(ctx); errors.Is(cause, bus.ErrClosed) {
		return cause
	}

	if ctx.Err() != nil {
		return nil // the end of the caller's context is how work ends well
	}

	return err
}

// take asks for as many mailboxes as there is room for, again and again.
func (w *worker) take(ctx context.Context) error {
	p, err := w.newPuller(ctx)
	if err != nil {
		return err
	}
	defer p.close(ctx)

	looking, stopLooking := context.WithCancel(ctx)

	var aside sync.WaitGroup
	aside.Go(func() { w.reviveAll(looking) })

	defer aside.Wait()
	defer stopLooking()

	for {
		free, err := w.room.Await(ctx)
		if err != nil {
			return err
		}

		err = p.pull(ctx, free, func(m *nats.Msg) {
			asked, serve := p.asked, w.room.Enter()
			aside.Go(func() { w.start(m, asked, serve) })
		})
		if err != nil {
			return err
		}
	}
}

// start serves a delivered entry. Without room for it, because the worker has adopted another mailbox since it asked, the
// mailbox goes to the end of the queue.
func (w *worker) start(m *nats.Msg, asked time.Time, serve bool) {
	do := w.pass
	if serve {
		defer w.room.Leave()

		do = w.hold
	}

	w.left(w.handle(m, asked, do))
}

// left notes why an entry was left as it is.
func (w *worker) left(err error) {
	if err != nil && !w.bus.isClosing() {
		w.bus.log.Debug().Err(err).Str("component", w.component).Msg("left a mailbox for another delivery")
	}
}

// hold serves a claim.
func (w *worker) hold(c *claim) error {
	defer c.End()

	w.serve(c.ctx, c)

	return nil
}

// pass gives a claim to others.
func (*worker) pass(c *claim) error { return c.inner.Pass(c.ctx) }

// handle does something with the claim on the mailbox that a delivered entry calls for, or acknowledges an entry that calls
// nobody. An error says that the entry was left as it is, to be delivered again after the lease.
func (w *worker) handle(m *nats.Msg, asked time.Time, do func(c *claim) error) error {
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("delivery: %w", err)
	}

	entry, err := w.bus.decodeRegister(meta.Sequence.Stream, m.Header, m.Data)
	if err != nil {
		return err
	}

	x, err := w.bus.boxOf(m.Subject)
	if err != nil {
		return err
	}

	return w.begin(w.newClaim(delivery{x, entry, int(meta.NumDelivered), m.Reply}, asked), do)
}

// begin is handle from where there is a claim.
func (w *worker) begin(c *claim, do func(c *claim) error) error {
	defer c.end()

	if err := c.check(); err != nil { // it was on its way for longer than its lease
		return err
	}

	called, err := c.open()
	if err != nil {
		return err
	}

	if !called {
		return w.bus.acknowledge(c.ack, ackDone)
	}

	if err := do(c); err != nil {
		return err
	}

	return c.settle()
}
