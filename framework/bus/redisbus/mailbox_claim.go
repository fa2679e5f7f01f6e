package redisbus

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/crew"
	"github.com/woodwork-go/woodwork/framework/bus/internal/lease"
	"github.com/woodwork-go/woodwork/subjects"
)

// When all of a worker's claims are in use, a mailbox with more letters is passed on to the end of the queue after
// this many letters or this long, whichever comes first, so that one full mailbox doesn't starve others.
const (
	passAfterLetters = 16
	passAfter        = time.Second
)

// What scripts answer about a claim.
const (
	claimLost  = -1
	claimEmpty = 0 // of next: it was given back; of done: an older letter waits
)

// putBackTimeout bounds giving back what was taken too late; it goes to others after the lease if that fails.
const putBackTimeout = 5 * time.Second

// claim is a worker's hold on a mailbox. The server knows it by its token; this process gives it up by its own clocks
// when it could not renew the lease: by a timer, and by the time of day where the timer stood still with the machine.
type claim struct {
	*crew.Place

	w       *worker
	session string
	token   string
	keys    subjects.RedisMailbox
	began   time.Time
	expiry  *time.Timer
	until   atomic.Pointer[time.Time] // when that comes
	begun   bool                      // Next was called
	over    atomic.Bool
	done    atomic.Int64    // letters
	shown   atomic.Bool     // Next returned a letter that is not done
	ctx     context.Context //nolint:containedctx // serve's context, whose end is the end of the claim
	lose    context.CancelCauseFunc
}

var _ bus.Claim = (*claim)(nil)

// newClaim begins a claim that was taken. The server can't have made it before it was asked for, so its lease counts
// from then.
func (w *worker) newClaim(session string, t taken) (*claim, error) {
	keys, err := w.bus.box(w.component, session)
	if err != nil {
		return nil, err
	}

	return w.newClaimUntil(session, t.token, keys, t.asked.Add(w.lease)), nil
}

// newClaimUntil is newClaim where the lease is known to last until then.
func (w *worker) newClaimUntil(session, token string, keys subjects.RedisMailbox, until time.Time) *claim {
	c := &claim{Place: w.room.Place(), w: w, session: session, token: token, keys: keys, began: time.Now()}
	c.ctx, c.lose = context.WithCancelCause(w.serveCtx)
	c.until.Store(&until)
	c.expiry = time.AfterFunc(lease.Left(until), func() { c.lose(bus.ErrLost) })
	w.leases.add(c)

	return c
}

// extend makes the lease longer. One that has ended stays lost.
func (c *claim) extend(until time.Time) {
	if c.lapsed() || !c.expiry.Stop() {
		return
	}

	c.until.Store(&until)
	c.expiry.Reset(lease.Left(until))
}

// lapsed reports whether the lease has ended, and loses the claim then.
func (c *claim) lapsed() bool {
	if lease.Left(*c.until.Load()) > 0 {
		return false
	}

	c.lose(bus.ErrLost)

	return true
}

// end stops renewing the claim.
func (c *claim) end() {
	c.w.leases.remove(c)
	c.expiry.Stop()
	c.lose(context.Canceled)
}

// finish notes that the mailbox was given back.
func (c *claim) finish() {
	c.over.Store(true)
	c.w.leases.remove(c)
	c.expiry.Stop()
}

// check returns why the claim can't be used any more, or nil.
func (c *claim) check() error {
	if c.over.Load() {
		return fmt.Errorf("it was given back: %w", bus.ErrLost)
	}

	c.lapsed()

	return context.Cause(c.ctx)
}

// run runs a script for the claim. Where the claim was lost meanwhile, that is the reason why it failed.
func (c *claim) run(ctx context.Context, s *script, keys []string, args ...any) (any, error) {
	if err := c.check(); err != nil {
		return nil, err
	}

	answer, err := c.w.bus.run(ctx, s, keys, append([]any{c.session, c.token}, args...)...)
	if err == nil && verdict(answer) == claimLost {
		c.lose(bus.ErrLost)

		err = bus.ErrLost
	}

	if lost := c.check(); err != nil && lost != nil {
		return nil, lost
	}

	return answer, err
}

// verdict is the number that a script answered, alone or before others.
func verdict(answer any) int64 {
	if list, ok := answer.([]any); ok && len(list) > 0 {
		answer = list[0]
	}

	n, _ := answer.(int64)

	return n
}

// Session implements [bus.Claim].
func (c *claim) Session() string { return c.session }

// Next implements [bus.Claim].
func (c *claim) Next(ctx context.Context) (*bus.Letter, error) {
	c.begun = true

	for {
		l, id, err := c.next(ctx)
		if err == nil || !errors.Is(err, bus.ErrCorrupt) || id == "" {
			return l, wrap("next letter", err)
		}

		c.w.bus.log.Warn().Str("component", c.w.component).Str("session", c.session).Err(err).Msg("dropped what is no letter")

		if err := c.remove(ctx, id, ""); err != nil {
			return nil, wrap("next letter", err)
		}
	}
}

// next returns the oldest letter and its entry, which is set even where it holds no letter.
func (c *claim) next(ctx context.Context) (*bus.Letter, string, error) {
	pass := "0"
	if c.passes() {
		pass = "1"
	}

	answer, err := c.run(ctx, c.w.bus.scripts.next, c.allKeys(), pass, c.keys.Wake)
	if err != nil {
		return nil, "", err
	}

	if verdict(answer) == claimEmpty {
		c.finish()

		return nil, "", nil
	}

	deliveries, e, err := parseNext(answer)
	if err != nil {
		return nil, "", err
	}

	l, err := decodeLetter(c.w.component, c.session, e)
	if err != nil {
		return nil, e.ID, err
	}

	if err := c.check(); err != nil { // the answer may have taken longer than the lease
		return nil, "", err
	}

	l.Deliveries = deliveries
	c.shown.Store(true)

	return l, e.ID, nil
}

// passes reports whether others are to have their turn, which is between letters only.
func (c *claim) passes() bool {
	done := c.done.Load()

	return done > 0 && !c.shown.Load() && c.w.room.Full() &&
		(done >= passAfterLetters || time.Since(c.began) >= passAfter)
}

// Done implements [bus.Claim]. Repeating it is harmless.
func (c *claim) Done(ctx context.Context, l *bus.Letter) error {
	return wrap("letter done", c.remove(ctx, formatPosition(l.Position), l.ID))
}

func (c *claim) remove(ctx context.Context, entry, turn string) error {
	answer, err := c.run(ctx, c.w.bus.scripts.done, []string{c.keys.Inbox, c.keys.Letters, c.keys.Claims}, entry, turn)
	if err != nil {
		return err
	}

	if verdict(answer) == claimEmpty {
		return fmt.Errorf("%.80q is not the oldest letter: %w", turn, bus.ErrInvalid)
	}

	c.done.Add(1)
	c.shown.Store(false)

	return nil
}

// Release implements [bus.Claim].
func (c *claim) Release(ctx context.Context, delay time.Duration) error {
	return wrap("release mailbox", c.release(ctx, delay))
}

// putBack gives back a mailbox that was taken but not served.
func (c *claim) putBack() {
	ctx, cancel := context.WithTimeout(c.ctx, putBackTimeout)
	defer cancel()

	if err := c.release(ctx, 0); err != nil {
		c.w.bus.log.Debug().Err(err).Str("component", c.w.component).Msg("left a mailbox for after its lease")
	}
}

// release gives the mailbox back. Where Next has not returned the oldest letter, that doesn't count as handed out.
func (c *claim) release(ctx context.Context, delay time.Duration) error {
	uncounted := 1
	if c.shown.Load() {
		uncounted = 0
	}

	if _, err := c.run(ctx, c.w.bus.scripts.release, c.allKeys(), max(0, delay).Microseconds(), c.keys.Wake, uncounted); err != nil {
		return err
	}

	c.finish()

	return nil
}

func (c *claim) allKeys() []string {
	return []string{c.keys.Inbox, c.keys.Letters, c.keys.Due, c.keys.Claims}
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}

	return fmt.Errorf("%s: %w", what, err)
}

// parseNext reads what the script next returns with a letter.
func parseNext(answer any) (deliveries int, e redis.XMessage, err error) {
	list, _ := answer.([]any)
	if len(list) == 4 {
		handed, numeric := list[1].(int64)
		if e, ok := parseEntry(list[2], list[3]); ok && numeric {
			return int(handed), e, nil
		}
	}

	return 0, e, fmt.Errorf("%w: a letter of %d parts", errReply, len(list))
}
