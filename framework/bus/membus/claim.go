package membus

import (
	"container/heap"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/crew"
)

// claim is a worker's hold on a mailbox.
type claim struct {
	*crew.Place

	bus   *Bus
	comp  *component
	box   *box
	lease time.Duration
	begun bool            // Next was called
	shown bool            // Next has returned the oldest letter
	given string          // names the claim on its way to another worker; empty while it is not
	ctx   context.Context //nolint:containedctx // It is serve's context, whose end is the end of the claim.
	lose  context.CancelCauseFunc
}

var _ bus.Claim = (*claim)(nil)

// Session implements [bus.Claim].
func (c *claim) Session() string { return c.box.session }

// holds reports whether the mailbox is the claim's.
func (c *claim) holds() bool { return c.box.holder == c && c.given == "" }

// Next implements [bus.Claim].
func (c *claim) Next(ctx context.Context) (*bus.Letter, error) {
	if err := c.bus.ready(ctx); err != nil {
		return nil, fmt.Errorf("next letter: %w", err)
	}

	c.comp.mu.Lock()
	defer c.comp.mu.Unlock()

	if !c.holds() {
		return nil, fmt.Errorf("next letter: %w", bus.ErrLost)
	}

	c.begun = true

	if len(c.box.letters) == 0 {
		c.comp.giveBack(c.box)
		delete(c.comp.boxes, c.box.session)

		return nil, nil
	}

	c.shown = true

	l := copyLetter(c.box.letters[0])
	l.Deliveries = c.box.handed

	return l, nil
}

// Done implements [bus.Claim]. Repeating it is harmless.
func (c *claim) Done(ctx context.Context, l *bus.Letter) error {
	if err := c.bus.ready(ctx); err != nil {
		return fmt.Errorf("letter done: %w", err)
	}

	c.comp.mu.Lock()
	defer c.comp.mu.Unlock()

	x := c.box
	if !c.holds() {
		return fmt.Errorf("letter done: %w", bus.ErrLost)
	}

	if len(x.letters) == 0 || l.Position.Minor < x.letters[0].Position.Minor {
		return nil
	}

	if l.Position != x.letters[0].Position {
		return fmt.Errorf("letter %.80q is not the oldest one: %w", l.ID, bus.ErrInvalid)
	}

	c.bus.broker.free(letterBytes(x.letters[0]))
	delete(x.ids, x.letters[0].ID)
	x.letters[0] = nil
	x.letters = x.letters[1:]
	x.handed = 1
	c.shown = false

	return nil
}

// Release implements [bus.Claim].
func (c *claim) Release(ctx context.Context, delay time.Duration) error {
	if err := c.bus.ready(ctx); err != nil {
		return fmt.Errorf("release mailbox: %w", err)
	}

	c.comp.mu.Lock()
	defer c.comp.mu.Unlock()

	x := c.box
	if !c.holds() {
		return fmt.Errorf("release mailbox: %w", bus.ErrLost)
	}

	c.comp.giveBack(x)

	if !c.shown {
		x.handed-- // nobody has seen the letter this time
	}

	switch {
	case len(x.letters) == 0:
		delete(c.comp.boxes, x.session)
	case delay <= 0:
		c.comp.push(x)
	default:
		c.comp.wait(x, time.Now().Add(delay))
	}

	return nil
}

// giveBack ends the hold on a mailbox, which is then in none of its places.
func (c *component) giveBack(x *box) {
	if x.index >= 0 {
		heap.Remove(&c.waiting, x.index)
	}

	if i := slices.Index(c.ready, x); i >= 0 {
		c.ready = slices.Delete(c.ready, i, i+1)
	}

	x.holder, x.lapsing = nil, false
}

// lapse starts the lease of a claim that nobody renews any more.
func (c *component) lapse(x *box, now time.Time) {
	if !x.lapsing {
		x.lapsing = true
		c.wait(x, now.Add(x.holder.lease))
	}
}

// leave ends what its holder does with a claim, unless the claim is over.
func (c *component) leave(cl *claim) {
	c.mu.Lock()
	defer c.mu.Unlock()

	x := cl.box

	switch {
	case x.holder != cl:
	case len(x.letters) == 0:
		c.giveBack(x)
		delete(c.boxes, x.session)
	default:
		c.lapse(x, time.Now())
	}
}

// drop starts the leases of all claims of a bus.
func (c *component) drop(b *Bus, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()

	for _, x := range c.boxes {
		if x.holder != nil && x.holder.bus == b {
			c.lapse(x, now)
		}
	}
}
