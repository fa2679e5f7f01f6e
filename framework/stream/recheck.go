package stream

import (
	"context"
	"sync"
	"time"
)

// recheck wakes a reader that has waited for long: a live entry can get lost without anybody noticing, so the log must be
// asked now and then, ever more rarely while nothing comes.
//
// Its timer is set once for many waits. It may go off early, sees that the reader has not waited for long yet, and goes
// on for the rest: neither a chunk costs a timer, nor does anything look at readers that are not due.
type recheck struct {
	rested time.Duration // the last interval that passed without news; used by the caller alone

	mu    sync.Mutex
	timer *time.Timer
	off   time.Time // when the timer goes off; zero while it is not set
	due   time.Time // when a waiting caller is to be woken; zero while it does not wait
	ended bool
}

// begin notes that the caller waits from now on. After d it is woken to ask the log.
func (c *recheck) begin(d time.Duration, caller *live) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.due = time.Now().Add(d)
	if c.ended || !c.off.IsZero() && !c.due.Before(c.off) {
		return
	}
	c.off = c.due
	if c.timer == nil {
		c.timer = time.AfterFunc(d, func() {
			if c.over() {
				caller.fallBehind()
				caller.rouse()
			}
		})
	} else {
		c.timer.Reset(d)
	}
}

// end notes that the caller waits no longer, and reports whether it was woken because it was due.
func (c *recheck) end() (late bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	late = c.due.IsZero()
	c.due = time.Time{}

	return late
}

// over is what the timer asks when it goes off: whether the caller is due. It sets the timer again if it will be.
func (c *recheck) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = time.Time{}
	if c.ended || c.due.IsZero() {
		return false
	}
	if left := time.Until(c.due); left > 0 {
		c.off = c.due
		c.timer.Reset(left)

		return false
	}
	c.due = time.Time{}

	return true
}

// stop ends the timer for good.
func (c *recheck) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.timer != nil {
		c.timer.Stop()
	}
}

// wait blocks until something comes, ctx ends or the store closes.
func (r *Reader) wait(ctx context.Context) error {
	if r.recheck.rested == 0 {
		r.recheck.rested = r.cfg.Recheck
	}
	r.recheck.begin(r.recheck.rested, &r.live)
	defer func() {
		if r.recheck.end() {
			r.recheck.rested = min(2*r.recheck.rested, r.cfg.RecheckMax)
		}
	}()
	select {
	case <-r.wake:
		return nil
	case <-r.store.closing:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
