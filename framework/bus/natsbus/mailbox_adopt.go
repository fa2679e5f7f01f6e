package natsbus

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/crew"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus/internal/mailbox"
)

// ticketJSON is what a worker has to know of another one's delivery to go on with it. Whoever knows the subject of its
// answers can renew and end it: the server asks for nothing else.
type ticketJSON struct {
	// Ack is that subject.
	Ack string `json:"ack"`
	// Seq and On are of the delivered entry, which calls for a worker.
	Seq uint64 `json:"seq"`
	On  uint64 `json:"on,omitempty"`
	// Nth is how often it was delivered.
	Nth int `json:"nth"`
}

// Give implements [bus.Claim].
func (c *claim) Give() (*bus.Ticket, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("give mailbox: %w", err)
	}

	if c.begun {
		return nil, fmt.Errorf("give mailbox: its letters have been looked at: %w", bus.ErrInvalid)
	}

	data, err := json.Marshal(ticketJSON{Ack: c.ack, Seq: c.entry.Seq, On: c.entry.On, Nth: c.nth})
	if err != nil {
		return nil, fmt.Errorf("give mailbox: %w", err)
	}

	c.released.Store(true)
	c.letGo()

	return &bus.Ticket{
		Component: c.box.component, Session: c.box.session, Left: c.term.Load().left(), Data: data,
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
	d, err := w.read(t)
	if err != nil {
		return err
	}

	go func() {
		defer w.room.Leave()

		w.left(w.begin(w.newClaimUntil(d, until), w.hold))
	}()

	return nil
}

// read makes a delivery of a ticket.
func (w *worker) read(t *bus.Ticket) (delivery, error) {
	var ticket ticketJSON
	if err := json.Unmarshal(t.Data, &ticket); err != nil {
		return delivery{}, fmt.Errorf("read ticket: %w: %w", bus.ErrInvalid, err)
	}

	x, err := w.bus.box(t.Component, t.Session)
	if err != nil {
		return delivery{}, fmt.Errorf("read ticket: %w", err)
	}

	consumer := w.bus.ns.TurnsStream() + "." + w.bus.ns.Consumer(w.component) + "."
	if !strings.HasPrefix(ticket.Ack, "$JS.ACK.") || !strings.Contains(ticket.Ack, consumer) {
		return delivery{}, fmt.Errorf("the ticket is for another consumer: %w", bus.ErrInvalid)
	}

	entry := mailbox.Entry{Seq: ticket.Seq, Scheduled: true, On: ticket.On}

	return delivery{box: x, entry: entry, nth: ticket.Nth, ack: ticket.Ack}, nil
}
