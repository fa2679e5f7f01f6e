package natsbus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Defaults of [bus.WorkConfig].
const (
	defaultConcurrency = 64
	defaultLease       = 1500 * time.Millisecond
)

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
	slots     chan struct{} // holds one token for each claim in use or asked for
	serve     func(context.Context, bus.Claim)
	leases    leases
	restored  chan struct{} // holds one token when the connection was restored since the last look for mailboxes left behind

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
		slots:    make(chan struct{}, cmp.Or(max(cfg.Concurrency, 0), defaultConcurrency)),
		restored: make(chan struct{}, 1),
	}
	w.serveCtx, w.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	defer w.cancel(context.Canceled)

	if !b.mailbox.join(w) {
		return fmt.Errorf("work on %.80q: %w", component, b.closedError())
	}
	defer b.mailbox.leave(w)

	if err := w.run(ctx); err != nil {
		return fmt.Errorf("work on %.80q: %w", component, err)
	}

	return nil
}

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

	var serving sync.WaitGroup
	defer serving.Wait()

	err = w.take(ctx, &serving)
	if cause := context.Cause(ctx); errors.Is(cause, bus.ErrClosed) {
		return cause
	}

	if ctx.Err() != nil {
		return nil // the end of the caller's context is how work ends well
	}

	return err
}

// take asks for as many mailboxes as there are free slots, again and again.
func (w *worker) take(ctx context.Context, serving *sync.WaitGroup) error {
	p, err := w.newPuller(ctx)
	if err != nil {
		return err
	}
	defer p.close(ctx)

	looking, stopLooking := context.WithCancel(ctx)

	var looker sync.WaitGroup
	looker.Go(func() { w.reviveAll(looking) })

	defer looker.Wait()
	defer stopLooking()

	for {
		free, err := w.acquire(ctx)
		if err != nil {
			return err
		}

		left, err := p.pull(ctx, free, func(m *nats.Msg) { w.start(m, p.asked, serving) })
		for range left {
			<-w.slots
		}

		if err != nil {
			return err
		}
	}
}

// acquire waits for a free slot and takes all that are free then.
func (w *worker) acquire(ctx context.Context) (int, error) {
	select {
	case w.slots <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}

	for n := 1; ; n++ {
		select {
		case w.slots <- struct{}{}:
		default:
			return n, nil
		}
	}
}

// start serves a delivered entry in a goroutine of its own, which frees its slot.
func (w *worker) start(m *nats.Msg, asked time.Time, serving *sync.WaitGroup) {
	serving.Go(func() {
		defer func() { <-w.slots }()

		if err := w.handle(m, asked); err != nil && !w.bus.isClosing() {
			w.bus.log.Debug().Err(err).Str("component", w.component).Msg("left a mailbox for another delivery")
		}
	})
}

// handle serves the mailbox that a delivered entry calls for, or acknowledges an entry that calls nobody. An error
// says that the entry was left as it is, to be delivered again after the lease.
func (w *worker) handle(m *nats.Msg, asked time.Time) error {
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("delivery: %w", err)
	}

	entry, err := w.bus.decodeRegister(meta.Sequence.Stream, m.Header, m.Data)
	if err != nil {
		return err
	}

	x, err := w.bus.boxOfRegister(m.Subject)
	if err != nil {
		return err
	}

	c := w.newClaim(m.Reply, asked)
	defer c.end()

	if c.inner, err = x.protocol().Open(c.ctx, entry, int(meta.NumDelivered)); err != nil {
		return err
	}

	if c.inner == nil {
		return w.bus.acknowledge(m.Reply, ackDone)
	}

	w.serve(c.ctx, c)

	return c.settle()
}
