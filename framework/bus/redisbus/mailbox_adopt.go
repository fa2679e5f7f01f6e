package redisbus

import (
	"context"
	"fmt"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/crew"
	"github.com/woodwork-go/woodwork/framework/bus/internal/lease"
)

// Give implements [bus.Claim]. The ticket is the token by which the server knows the claim.
func (c *claim) Give() (*bus.Ticket, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("give mailbox: %w", err)
	}

	if c.begun {
		return nil, fmt.Errorf("give mailbox: its letters have been looked at: %w", bus.ErrInvalid)
	}

	c.finish()

	return &bus.Ticket{
		Component: c.w.component, Session: c.session, Left: lease.Left(*c.until.Load()), Data: []byte(c.token),
	}, nil
}

// Adopt implements [bus.Mailbox].
func (b *Bus) Adopt(
	ctx context.Context, component string, ask func(ctx context.Context) (*bus.Ticket, error),
) (bool, error) {
	return b.workers.Adopt(ctx, component, ask)
}

// Room implements [crew.Worker].
func (w *worker) Room() *crew.Room { return w.room }

// Adopt implements [crew.Worker].
func (w *worker) Adopt(t *bus.Ticket, until time.Time) error {
	keys, err := w.bus.box(w.component, t.Session)
	if err != nil {
		return err
	}

	go func() {
		c := w.newClaimUntil(t.Session, string(t.Data), keys, until)
		w.leases.renewSome(c.ctx, []*claim{c}) // the next time may come too late

		w.hold(c)
	}()

	return nil
}
