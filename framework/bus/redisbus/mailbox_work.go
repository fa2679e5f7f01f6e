package redisbus

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/crew"
	"github.com/woodwork-go/woodwork/subjects"
)

// defaultLease is that of [bus.WorkConfig].
const defaultLease = 1500 * time.Millisecond

const (
	// takeMost is how many mailboxes one script takes, so that no script takes long.
	takeMost = 64
	// sweepLeases is how many leases a worker that hears nothing waits before it looks: a wake can be lost.
	sweepLeases = 4
)

// worker is one call of Work.
type worker struct {
	bus       *Bus
	component string
	keys      subjects.RedisMailboxes
	lease     time.Duration
	room      *crew.Room
	wake      chan struct{} // holds one token while there may be something new to take
	serve     func(context.Context, bus.Claim)
	leases    leases
	returning sync.WaitGroup // what goes back

	serveCtx context.Context //nolint:containedctx // the parent of what each serve is given, until Work returns
	cancel   context.CancelCauseFunc

	rest         context.CancelCauseFunc // ends taking
	renewing     context.Context         //nolint:containedctx // ends with Work
	stopRenewing context.CancelFunc
}

// Work takes mailboxes of a component that hold letters; see [bus.Mailbox]. Workers are told when a mailbox becomes
// ready and look by themselves when a delay or a lease ends. Work waits for a server to come back, and returns an
// error when the server refuses for good or the bus is closed.
func (b *Bus) Work(
	ctx context.Context, component string, cfg bus.WorkConfig, serve func(context.Context, bus.Claim),
) error {
	keys, err := b.ns.RedisMailboxes(component)
	if err != nil {
		return fmt.Errorf("work: %w: %w", bus.ErrInvalid, err)
	}

	w := &worker{
		bus: b, component: component, keys: keys, serve: serve, lease: cmp.Or(max(cfg.Lease, 0), defaultLease),
		room: crew.NewRoom(cfg.Concurrency),
		wake: make(chan struct{}, 1),
	}
	w.serveCtx, w.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	defer w.cancel(context.Canceled)

	taking, rest := context.WithCancelCause(ctx)
	defer rest(context.Canceled)

	w.rest = rest
	w.renewing, w.stopRenewing = context.WithCancel(w.serveCtx)

	defer w.stopRenewing()

	w.leases.begin(w)

	if !b.workers.Join(w) {
		return fmt.Errorf("work on %s: %w", component, bus.ErrClosed)
	}
	defer b.workers.Leave(w)

	if err := w.run(taking); err != nil {
		return fmt.Errorf("work on %s: %w", component, err)
	}

	return nil
}

// Component implements [crew.Worker].
func (w *worker) Component() string { return w.component }

// End implements [crew.Worker].
func (w *worker) End(cause error) {
	w.rest(cause)
	w.cancel(cause)
}

// run takes mailboxes until ctx ends, then waits for those that are served.
func (w *worker) run(ctx context.Context) error {
	stop, err := w.bus.hub.subscribe(ctx, w.keys.Wake, func(*message) { w.poke() }, w.poke)
	if err != nil && ctx.Err() == nil {
		return err
	}

	if err == nil {
		defer stop()
	}

	var ending sync.WaitGroup
	ending.Go(func() { w.leases.renew(w.renewing) })

	defer ending.Wait()
	defer w.stopRenewing()

	defer w.room.Close()
	defer w.returning.Wait()

	err = w.take(ctx)
	if ctx.Err() == nil {
		return err
	}

	if w.bus.isClosing() {
		return bus.ErrClosed
	}

	return nil // the end of the caller's context is how work ends well
}

// poke says that there may be something to take.
func (w *worker) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take takes as many mailboxes as there is room for, again and again, until ctx ends or the server refuses.
func (w *worker) take(ctx context.Context) error {
	for try := 0; ; {
		free, err := w.room.Await(ctx)
		if err != nil {
			return err
		}

		got, err := w.takeDue(ctx, free)
		w.startAll(ctx, got)

		switch {
		case passing(err):
			err = backoff(ctx, try)
			try++
		case err == nil && len(got.sessions) < min(free, takeMost):
			err = w.wait(ctx, got.next)
			try = 0
		}

		if err != nil {
			return err
		}
	}
}

// wait waits for a wake, or until the next mailbox is due as far as is known (negative: it is not).
func (w *worker) wait(ctx context.Context, next time.Duration) error {
	sweep := sweepLeases * w.lease
	if next >= 0 {
		sweep = min(sweep, next)
	}

	timer := time.NewTimer(sweep)
	defer timer.Stop()

	select {
	case <-w.wake:
		return nil
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// taken is the answer to one take.
type taken struct {
	asked    time.Time
	token    string
	sessions []string
	next     time.Duration // until another one is due; negative: none is known
}

// takeDue claims mailboxes that are due. Those whose answer is lost go to a worker after the lease.
func (w *worker) takeDue(ctx context.Context, free int) (taken, error) {
	select { // what was said before now is seen by this take
	case <-w.wake:
	default:
	}

	t := taken{asked: time.Now(), token: rand.Text(), next: -1}
	if ctx.Err() != nil {
		return t, ctx.Err()
	}

	answer, err := w.bus.run(w.serveCtx, w.bus.scripts.take, []string{w.keys.Due, w.keys.Claims},
		min(free, takeMost), w.lease.Microseconds(), t.token)
	if err != nil {
		return t, err
	}

	err = t.read(answer)

	return t, err
}

// read reads the time until the next mailbox is due, and sessions.
func (t *taken) read(answer any) error {
	list, ok := answer.([]any)
	if !ok || len(list) == 0 {
		return fmt.Errorf("take mailboxes: %w: %T", errReply, answer)
	}

	if next, ok := list[0].(int64); ok && next >= 0 {
		t.next = time.Duration(next) * time.Microsecond
	}

	for _, v := range list[1:] {
		session, ok := v.(string)
		if !ok {
			return fmt.Errorf("take mailboxes: %w: %T", errReply, v)
		}

		t.sessions = append(t.sessions, session)
	}

	return nil
}

// startAll serves what was taken, each in a goroutine of its own. What was taken when ctx ended, or there is no room any
// more because the worker has adopted another mailbox meanwhile, goes back.
func (w *worker) startAll(ctx context.Context, t taken) {
	for _, session := range t.sessions {
		c, err := w.newClaim(session, t)
		if err != nil {
			w.bus.log.Warn().Err(err).Str("component", w.component).Msg("left a mailbox that can't be ours")

			continue
		}

		if ctx.Err() != nil || !w.room.Enter() {
			w.returning.Go(func() { c.putBack(); c.end() })

			continue
		}

		go w.hold(c)
	}
}

// hold serves a claim in the room that was taken for it.
func (w *worker) hold(c *claim) {
	defer w.room.Leave()
	defer c.End()
	defer c.end()

	w.serve(c.ctx, c)
}
