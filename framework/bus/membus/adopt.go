package membus

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Give implements [bus.Claim]. The lease of a claim that was given away runs until somebody adopts it.
func (c *claim) Give() (*bus.Ticket, error) {
	c.comp.mu.Lock()
	defer c.comp.mu.Unlock()

	x := c.box

	switch {
	case x.holder != c || c.given != "":
		return nil, fmt.Errorf("give mailbox: %w", bus.ErrLost)
	case c.begun:
		return nil, fmt.Errorf("give mailbox: its letters have been looked at: %w", bus.ErrInvalid)
	}

	c.given = rand.Text()
	c.comp.lapse(x, time.Now())

	return &bus.Ticket{
		Component: c.comp.name, Session: x.session, Left: time.Until(x.due), Data: []byte(c.given),
	}, nil
}

// Adopt implements [bus.Mailbox].
func (b *Bus) Adopt(
	ctx context.Context, component string, ask func(ctx context.Context) (*bus.Ticket, error),
) (bool, error) {
	if err := b.ready(ctx); err != nil {
		return false, fmt.Errorf("adopt mailbox: %w", err)
	}

	return b.workers.Adopt(ctx, component, ask)
}

// Adopt implements [crew.Worker].
func (w *worker) Adopt(t *bus.Ticket, _ time.Time) error {
	w.comp.mu.Lock()
	defer w.comp.mu.Unlock()

	x := w.comp.boxes[t.Session]
	if x == nil || x.holder == nil || x.holder.given == "" || x.holder.given != string(t.Data) {
		return fmt.Errorf("the mailbox is no longer that of the ticket: %w", bus.ErrLost)
	}

	w.comp.giveBack(x)

	go w.handle(w.hold(x))

	return nil
}
