package turn

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/framework/telemetry"
)

// errDraining is the cause of a handler's context when the drain's time is over.
var errDraining = errors.New("the instance is shutting down")

// Config says how a component's turns run. Only Component is required.
type Config struct {
	// Component whose mailboxes are worked on. Required.
	Component string
	// To lists the components that get a turn with each output. Defaults to none: the output is for the user.
	To []string
	// Policy says how a turn goes on after a crash. Under stream.Fail it is executed again only as long as readers have
	// seen nothing of it; else it is set aside and fails, also when the handler fails. Defaults to stream.Restart.
	Policy stream.Policy
	// Type of the output stream. Defaults to bus.Text.
	Type bus.DataType
	// Concurrency is how many turns run at once in this instance, those that wait for their next attempts not counted.
	// Defaults to 64.
	Concurrency int
	// Lease is how long an instance may be silent before its turns go to others. Defaults to 1.2 s, so that a killed
	// instance's turns run elsewhere within two seconds.
	Lease time.Duration
	// Instance names this process in the history of failed attempts. Defaults to a random name.
	Instance string
	// MaxAttempts is how many executions of a turn may fail, which is to return an error or to panic, before it is set
	// aside and fails. Defaults to 5; -1 sets no limit.
	MaxAttempts int
	// MaxDeaths is how many executions of a turn may end without a word, because their instance died or lost the turn,
	// before it is set aside and fails. Most often the turn is innocent, but it may be what kills its instances. A turn's
	// first execution counts only when it has stored something: else nobody can know that it began. Defaults to 20; -1
	// sets no limit.
	MaxDeaths int
	// Backoff is the wait before the second attempt; it doubles with each further one. Defaults to 1 s.
	Backoff time.Duration
	// MaxBackoff bounds the wait. Defaults to 60 s.
	MaxBackoff time.Duration
	// MaxDuration is how long one attempt may take before the turn fails. Defaults to 1 h; -1 sets no limit.
	MaxDuration time.Duration
	// Idle is how long an attempt may go without reading or sending anything before the turn fails. Defaults to 5 min;
	// -1 sets no limit.
	Idle time.Duration
	// Drain is how long running turns may go on after the worker was told to stop; then they are handed over. Defaults
	// to 20 s; -1 hands them over at once.
	Drain time.Duration
	// Tracer makes a span for each execution of a turn. Defaults to none.
	Tracer *telemetry.Tracer
	// Logger gets the outcome of each turn, without content. Defaults to none.
	Logger zerolog.Logger
}

func (c Config) withDefaults() Config {
	c.Type = cmp.Or(c.Type, bus.Text)
	c.Instance = cmp.Or(c.Instance, rand.Text())
	c.Lease = cmp.Or(c.Lease, 1200*time.Millisecond)
	c.MaxAttempts = limitOr(c.MaxAttempts, 5)
	c.MaxDeaths = limitOr(c.MaxDeaths, 20)
	c.Backoff = cmp.Or(c.Backoff, time.Second)
	c.MaxBackoff = cmp.Or(c.MaxBackoff, time.Minute)
	c.MaxDuration = cmp.Or(c.MaxDuration, time.Hour)
	c.Idle = cmp.Or(c.Idle, 5*time.Minute)
	c.Drain = cmp.Or(c.Drain, 20*time.Second)

	return c
}

// limitOr is a limit that defaults to fallback, and that a negative value takes away.
func limitOr(limit, fallback int) int {
	if limit < 0 {
		return math.MaxInt
	}

	return cmp.Or(limit, fallback)
}

// Handler executes one attempt of a turn. The returned error decides the turn's fate; see [Terminate] and
// [RetryAfter].
type Handler func(ctx context.Context, a *Attempt) error

// Worker runs the turns of one component. Any number of workers of a component, in any number of processes, share its
// turns; those of one session run one after another.
type Worker struct {
	box     Box
	store   *stream.Store
	cfg     Config
	limits  *limits
	resting atomic.Int64 // claims whose turns wait for their next attempts
}

// NewWorker returns a worker that takes turns from box and keeps their streams in store. It does nothing until Run.
func NewWorker(box Box, store *stream.Store, cfg Config) *Worker {
	cfg = cfg.withDefaults()

	return &Worker{box: box, store: store, cfg: cfg, limits: newLimits(cfg)}
}

// Run takes turns until ctx ends; then it takes no more, lets the running ones go on for Config.Drain, hands over the
// rest, and returns nil. It returns an error when the bus can't go on, and bus.ErrInvalid for targets that can't be used.
func (w *Worker) Run(ctx context.Context, handle Handler) error {
	if err := checkTargets(w.cfg.To); err != nil {
		return fmt.Errorf("work on turns of %s: %w", w.cfg.Component, err)
	}

	drained, gone, stop := w.afterDrain(ctx)
	defer stop()

	looking, stopLooking := context.WithCancel(context.WithoutCancel(ctx))

	var looker sync.WaitGroup
	looker.Go(func() { w.limits.run(looking) })

	defer looker.Wait()
	defer stopLooking()

	cfg := bus.WorkConfig{Concurrency: w.cfg.Concurrency, Lease: w.cfg.Lease}

	err := w.box.Work(ctx, w.cfg.Component, cfg, func(claimCtx context.Context, c bus.Claim) {
		run := &run{Worker: w, claim: c, handle: handle, stopping: ctx.Done(), held: claimCtx, gone: gone}
		run.serve(claimCtx, drained)
	})
	if err != nil {
		return fmt.Errorf("work on turns of %s: %w", w.cfg.Component, err)
	}

	return nil
}

// letGo is how long what has to be stored for a turn may take after the drain's time is over. Then it is left: the lease
// gives the turn to another instance.
const letGo = 5 * time.Second

// afterDrain returns a channel that is closed Config.Drain after ctx ended, and a context that ends a little later, when
// nothing may go on any more.
func (w *Worker) afterDrain(ctx context.Context) (drained <-chan struct{}, gone context.Context, stop func()) {
	over, drain := context.WithCancel(context.WithoutCancel(ctx))
	last, leave := context.WithCancel(context.WithoutCancel(ctx))

	unhook := context.AfterFunc(ctx, func() {
		if elapse(last, max(w.cfg.Drain, 0)) {
			drain()
		}

		if elapse(last, letGo) {
			leave()
		}
	})

	return over.Done(), last, func() { unhook(); leave(); drain() }
}

// elapse reports whether d passed before ctx ended.
func elapse(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// run is the work on one claimed mailbox.
type run struct {
	*Worker

	claim    bus.Claim
	handle   Handler
	stopping <-chan struct{}
	cancels  *cancels
	repeats  int         // how often the letter in hand was tried again within this claim
	resume   func() bool // takes room again that the claim has given to others; nil when it has its own

	held context.Context //nolint:containedctx // the claim's, whose end is the claim's
	gone context.Context //nolint:containedctx // ends when nothing may be waited for any more
}

// settling returns a context for what has to be stored after an attempt: it outlives ctx, and the drain by [letGo].
func (r *run) settling(ctx context.Context) (settle context.Context, end func()) {
	settle, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(r.gone, func() { cancel(errDraining) })

	return settle, func() { unhook(); cancel(nil) }
}

// serve works the mailbox off, letter by letter, until it is empty, lost, or to be given back.
func (r *run) serve(ctx context.Context, drained <-chan struct{}) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	over := make(chan struct{})
	watched := make(chan struct{})

	go func() {
		defer close(watched)

		select {
		case <-drained:
			cancel(errDraining)
		case <-over:
		}
	}()

	defer func() { close(over); <-watched }()

	r.cancels = watchCancels(ctx, r.store, r.claim.Session())
	defer r.cancels.close()

	for r.next(ctx) {
	}
}

// next executes the oldest letter. It reports whether the claim is still held.
func (r *run) next(ctx context.Context) bool {
	settle, end := r.settling(ctx)
	defer end()

	select {
	case <-r.stopping:
		r.release(settle, 0)

		return false
	default:
	}

	letter, err := r.claim.Next(ctx)
	if err != nil || letter == nil {
		r.warn(err, "", "take the next turn")

		return false
	}

	l := *letter
	l.Deliveries += r.repeats

	return r.settle(ctx, settle, &l, r.execute(ctx, &l))
}

// settle does with the letter what the outcome says. It reports whether the claim is still held.
func (r *run) settle(ctx, settle context.Context, l *bus.Letter, o outcome) bool {
	r.log(l, o)

	switch o.fate {
	case lost:
		return false
	case handOver:
		r.release(settle, 0)

		return false
	case retry, early:
		return r.pause(ctx, o)
	default:
		if err := r.claim.Done(settle, l); err != nil {
			r.warn(err, l.ID, "mark the turn as done")

			return false
		}

		r.repeats = 0

		return r.roomy(settle)
	}
}

func (r *run) release(ctx context.Context, delay time.Duration) {
	r.warn(r.claim.Release(ctx, delay), "", "give the mailbox back")
}

func (r *run) warn(err error, turn, doing string) {
	if err != nil {
		r.cfg.Logger.Warn().Err(err).Str("turn", turn).Msg("could not " + doing + "; it will be delivered again")
	}
}

func (r *run) log(l *bus.Letter, o outcome) {
	level := zerolog.DebugLevel
	if o.err != nil {
		level = zerolog.WarnLevel
	}

	log := o.span.Logger(r.cfg.Logger)
	log.WithLevel(level).Err(o.err).Str("session", l.Session).Str("turn", l.ID).Int("attempt", o.attempt).
		Dur("retry_in", o.delay).Msg(o.fate.String())
}
