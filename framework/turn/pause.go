package turn

import (
	"context"
	"errors"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

const (
	// maxResting bounds how many claims of an instance are held while their turns wait, for each is renewed all the time.
	maxResting = 1024
	// backAfter is how long a mailbox is given back for, at most, that would be one too many. Whoever gets it then sees
	// what was cancelled meanwhile, and how long the turn still has to wait.
	backAfter = 10 * time.Second
)

// pause holds the claim while its turn waits for the next attempt, so that a cancel ends the turn at once, and reports
// whether it is still held then. Meanwhile it takes no room that another turn could have. What ends the waiting early is
// a cancel of the turn, the end of the claim, and a drain: then another instance waits for the rest, which the log of
// failures says.
func (r *run) pause(ctx context.Context, o outcome) bool {
	r.repeats++

	defer r.resting.Add(-1)

	if r.resting.Add(1) > maxResting || !o.readable {
		settle, end := r.settling(ctx)
		defer end()

		r.release(settle, r.backIn(o))

		return false
	}

	if r.resume == nil {
		r.resume = r.claim.Rest()
	}

	cancelled := r.await(ctx, o)
	if errors.Is(context.Cause(ctx), bus.ErrLost) {
		return false
	}

	if cancelled { // its streams are ended without room: no handler is called
		return true
	}

	settle, end := r.settling(ctx)
	defer end()

	return r.roomy(settle)
}

// backIn returns after how long a mailbox that can't be held is to come back.
func (r *run) backIn(o outcome) time.Duration {
	if !o.noted {
		return o.delay
	}

	return min(o.delay, backAfter)
}

// await waits for the next attempt and reports whether the turn was cancelled meanwhile. A cancel that the last attempt
// knew of already could not be carried out by it, which is to be tried again later, too.
func (r *run) await(ctx context.Context, o outcome) (cancelled bool) {
	turn, done := r.cancels.begin(ctx, o.record)
	defer done()

	if o.cancelled {
		turn = ctx
	}

	timer := time.NewTimer(o.delay)
	defer timer.Stop()

	select {
	case <-timer.C:
	case <-turn.Done():
	case <-r.stopping:
	}

	return isCancelled(turn)
}

// roomy reports whether the claim has room to go on in. Without, its mailbox goes to whoever has.
func (r *run) roomy(ctx context.Context) bool {
	if r.resume == nil {
		return true
	}

	if r.resume() {
		r.resume = nil

		return true
	}

	r.release(ctx, 0)

	return false
}
