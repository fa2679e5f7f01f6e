package membus

import (
	"context"
	"fmt"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/crew"
)

const defaultLease = 1500 * time.Millisecond

// worker is one call of Work.
type worker struct {
	bus   *Bus
	comp  *component
	lease time.Duration
	room  *crew.Room
	serve func(context.Context, bus.Claim)
	wake  chan struct{} // holds one token while there may be something new to take

	serveCtx context.Context //nolint:containedctx // The parent of what each serve is given, until Work returns.
	cancel   context.CancelCauseFunc
}

// Work implements [bus.Mailbox]. It returns [bus.ErrClosed] after the bus was closed, once every serve returned.
func (b *Bus) Work(
	ctx context.Context, component string, cfg bus.WorkConfig, serve func(context.Context, bus.Claim),
) error {
	if err := checkID("component", component); err != nil {
		return fmt.Errorf("work: %w", err)
	}

	w := &worker{
		bus: b, comp: b.broker.component(component), lease: cfg.Lease, room: crew.NewRoom(cfg.Concurrency),
		serve: serve, wake: make(chan struct{}, 1),
	}
	if w.lease <= 0 {
		w.lease = defaultLease
	}

	w.serveCtx, w.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	defer w.cancel(context.Canceled)

	if !w.join() {
		return fmt.Errorf("work: %w", bus.ErrClosed)
	}
	defer w.quit()

	if err := w.run(ctx); err != nil {
		return fmt.Errorf("work: %w", err)
	}

	return nil
}

// join makes the worker known to its bus, unless that is closed, and to its component.
func (w *worker) join() bool {
	if !w.bus.workers.Join(w) {
		return false
	}

	w.comp.mu.Lock()
	defer w.comp.mu.Unlock()

	w.comp.workers[w] = struct{}{}

	return true
}

func (w *worker) quit() {
	w.bus.workers.Leave(w)

	w.comp.mu.Lock()
	defer w.comp.mu.Unlock()

	delete(w.comp.workers, w)
}

// Component implements [crew.Worker].
func (w *worker) Component() string { return w.comp.name }

// End implements [crew.Worker].
func (w *worker) End(cause error) { w.cancel(cause) }

// Room implements [crew.Worker].
func (w *worker) Room() *crew.Room { return w.room }

func (w *worker) run(ctx context.Context) error {
	defer w.room.Close()

	for {
		if err := w.roomy(ctx); err != nil {
			return err
		}

		if ctx.Err() != nil {
			return nil
		}

		c, err := w.next(ctx)
		if err != nil {
			return err
		}

		if c != nil {
			go w.handle(c)
		}
	}
}

// roomy waits until there is room for a claim, or ctx ended.
func (w *worker) roomy(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	unhook := context.AfterFunc(w.serveCtx, stop)
	defer unhook()

	if _, err := w.room.Await(ctx); err != nil && w.bus.closed.Load() {
		return bus.ErrClosed
	}

	return nil
}

// next waits for a mailbox and claims it, in room of its own. It returns neither claim nor error when ctx ended, or there
// is no room any more because the worker has adopted another mailbox.
func (w *worker) next(ctx context.Context) (*claim, error) {
	timer := time.NewTimer(0)
	defer timer.Stop()

	for {
		if !w.room.Enter() {
			return nil, nil
		}

		c, due := w.claim(ctx)
		if c != nil {
			return c, nil
		}

		w.room.Leave()

		var lapse <-chan time.Time
		if !due.IsZero() {
			timer.Reset(time.Until(due))
			lapse = timer.C
		}

		select {
		case <-w.wake:
		case <-lapse:
		case <-ctx.Done():
			return nil, nil
		case <-w.bus.done:
			return nil, bus.ErrClosed
		}
	}
}

// claim takes a mailbox if one is ready; when none is it returns when the next one is due, or a zero time.
func (w *worker) claim(ctx context.Context) (*claim, time.Time) {
	w.comp.mu.Lock()
	defer w.comp.mu.Unlock()

	// Under the lock, so that a bus that was just closed claims nothing that its closing did not see.
	if ctx.Err() != nil || w.bus.closed.Load() || w.bus.lapsed.Load() {
		return nil, time.Time{}
	}

	x, due := w.comp.take(time.Now())
	if x == nil {
		return nil, due
	}

	if x.holder != nil {
		x.holder.lose(bus.ErrLost)
	}

	x.handed++

	return w.hold(x), time.Time{}
}

// hold makes the worker the holder of a mailbox, with the component locked.
func (w *worker) hold(x *box) *claim {
	c := &claim{Place: w.room.Place(), bus: w.bus, comp: w.comp, box: x, lease: w.lease}
	c.ctx, c.lose = context.WithCancelCause(w.serveCtx)
	x.holder, x.lapsing = c, false

	return c
}

// handle serves a claim in the room that was taken for it.
func (w *worker) handle(c *claim) {
	defer w.room.Leave()
	defer c.End()
	defer c.lose(context.Canceled)
	defer w.comp.leave(c)

	w.serve(c.ctx, c)
}
