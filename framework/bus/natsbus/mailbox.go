package natsbus

import (
	"context"
	"fmt"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus/internal/mailbox"
	"github.com/woodwork-go/woodwork/subjects"
)

var _ bus.Mailbox = (*Bus)(nil)

// Post stores a letter and makes sure that a worker will see it; see [bus.Mailbox]. It tries again unless the server
// refuses for good, each try for at most [Config].AppendTimeout.
//
// Tries whose outcome stayed unknown, and posts that are repeated, may store a letter again. A claim that has done
// one copy drops the others; a copy that another claim meets is handed out as a letter whose turn has ended.
func (b *Bus) Post(ctx context.Context, l *bus.Letter) error {
	box, err := b.box(l.Component, l.Session)
	if err != nil {
		return fmt.Errorf("post letter: %w", err)
	}

	if err := subjects.CheckID("turn", l.ID); err != nil {
		return fmt.Errorf("post letter: %w: %w", bus.ErrInvalid, err)
	}

	if len(l.Body) > maxBody(b.nc) {
		return fmt.Errorf("post letter %s: body of %d bytes: %w", l.ID, len(l.Body), bus.ErrTooLarge)
	}

	try, cancel := context.WithTimeout(ctx, b.insist)
	defer cancel()

	err = box.protocol().Post(try, l)
	if err != nil && try.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: gave up after %v: %w", bus.ErrUnknown, b.insist, err)
	}

	if err != nil {
		return fmt.Errorf("post letter %s: %w", l.ID, err)
	}

	return nil
}

// Peek returns the oldest letter of a mailbox; see [bus.Mailbox]. The leader answers.
func (b *Bus) Peek(ctx context.Context, component, session string) (*bus.Letter, error) {
	x, err := b.box(component, session)
	if err != nil {
		return nil, fmt.Errorf("peek: %w", err)
	}

	for from := uint64(1); ; {
		e, err := x.First(ctx, mailbox.Inbox, from)

		switch {
		case err != nil:
			return nil, fmt.Errorf("peek: %w", err)
		case e.Seq == 0:
			return nil, nil //nolint:nilnil // no letter is an answer, not a failure
		case e.Letter != nil:
			e.Letter.Position = bus.Position{Minor: e.Seq}

			return e.Letter, nil
		}

		from = e.Seq + 1 // what isn't ours waits for nobody
	}
}

// box is one mailbox on the server.
type box struct {
	bus                *Bus
	component, session string
	inbox, register    string // subjects
}

func (b *Bus) box(component, session string) (*box, error) {
	inbox, err := b.ns.Inbox(component, session)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}

	register, err := b.ns.Ready(component, session)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}

	return &box{bus: b, component: component, session: session, inbox: inbox, register: register}, nil
}

// protocol is the mailbox's protocol on this server.
func (x *box) protocol() mailbox.Mailbox { return mailbox.Mailbox{Store: x, Wait: x.bus.pause} }
