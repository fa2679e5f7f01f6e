package membus

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

const (
	defaultConcurrency = 64
	defaultLease       = 1500 * time.Millisecond
)

// worker is one call of Work.
type worker struct {
	bus   *Bus
	comp  *component
	lease time.Duration
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
		bus: b, comp: b.broker.component(component), lease: cfg.Lease, serve: serve, wake: make(chan struct{}, 1),
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

	if err := w.run(ctx, max(0, cfg.Concurrency)); err != nil {
		return fmt.Errorf("work: %w", err)
	}

	return nil
}

// join makes the worker known to its bus, unless that is closed, and to its component.
func (w *worker) join() bool {
	w.bus.mu.Lock()
	defer w.bus.mu.Unlock()

	if w.bus.workers == nil {
		return false
	}

	w.bus.workers[w] = struct{}{}

	w.comp.mu.Lock()
	defer w.comp.mu.Unlock()

	w.comp.workers[w] = struct{}{}

	return true
}

func (w *worker) quit() {
	w.bus.mu.Lock()
	defer w.bus.mu.Unlock()

	delete(w.bus.workers, w)

	w.comp.mu.Lock()
	defer w.comp.mu.Unlock()

	delete(w.comp.workers, w)
}

func (w *worker) run(ctx context.Context, concurrency int) error {
	var serving sync.WaitGroup
	defer serving.Wait()

	slots := make(chan struct{}, cmp.Or(concurrency, defaultConcurrency))

	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		case <-w.bus.done:
			return bus.ErrClosed
		}

		c, err := w.next(ctx)
		if c == nil {
			return err
		}

		serving.Go(func() {
			defer func() { <-slots }()

			w.handle(c)
		})
	}
}

// next waits for a mailbox and claims it. It returns neither claim nor error when ctx ended.
func (w *worker) next(ctx context.Context) (*claim, error) {
	timer := time.NewTimer(0)
	defer timer.Stop()

	for {
		c, due := w.claim(ctx)
		if c != nil {
			return c, nil
		}

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

	c := &claim{bus: w.bus, comp: w.comp, box: x, lease: w.lease}
	c.ctx, c.lose = context.WithCancelCause(w.serveCtx)
	x.holder, x.lapsing = c, false
	x.handed++

	return c, time.Time{}
}

func (w *worker) handle(c *claim) {
	defer c.lose(context.Canceled)
	defer w.comp.leave(c)

	w.serve(c.ctx, c)
}
