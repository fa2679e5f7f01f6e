package envelope

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// Dead is a message that was set aside.
type Dead struct {
	// Message as it was sent or published; its zero value when it could not be read.
	Message Message
	// Component is whose it was: the target it was sent to, or the name of the subscriber.
	Component string
	// Reason says why it was set aside; At is when.
	Reason string
	At     time.Time

	letter *bus.DeadLetter
}

// maxReason bounds the reason of a dead letter in bytes. As JSON it may be six times as long.
const maxReason = 4 << 10

// defaultDead is how many dead letters are listed when nothing says otherwise.
const defaultDead = 100

// DeadLetters returns the first messages that were set aside, oldest first, at most limit of them or 100 when it is
// zero.
func (b *Bus) DeadLetters(ctx context.Context, limit int) ([]Dead, error) {
	limit = cmp.Or(max(limit, 0), defaultDead)

	var all []Dead

	for d, err := range b.bus.Dead(ctx, "") {
		if err != nil {
			return all, fmt.Errorf("list dead letters: %w", err)
		}

		component, ok := subjects.ParseMessageBox(d.Component)
		if !ok {
			continue // a turn's
		}

		one := Dead{Component: component, Reason: d.Reason, At: d.At, letter: d}
		_ = json.Unmarshal(d.Body, &one.Message) // one that can't be read was set aside for that

		if all = append(all, one); len(all) == limit {
			break
		}
	}

	return all, nil
}

var errNotListed = fmt.Errorf("it was not listed: %w", bus.ErrInvalid)

// Replay sends a message that was set aside to its Component again, as if it had just been made, and forgets the dead
// letter. A message that had been published goes to that one component only, which must handle what is sent to it.
// Repeating a replay after an error is as harmless as it is with [Bus.Send].
//
// It fails with bus.ErrNotFound when the dead letter is gone, as after a replay, and as Send does.
func (b *Bus) Replay(ctx context.Context, d Dead) error {
	if d.letter == nil {
		return fmt.Errorf("replay dead letter: %w", errNotListed)
	}

	if _, err := b.bus.Buried(ctx, &d.letter.Letter); err != nil {
		return fmt.Errorf("replay dead letter %s: %w", d.letter.ID, err)
	}

	m := d.Message
	m.Target, m.RetryCount, m.CreatedAt = d.Component, 0, time.Time{}

	// A letter of its own: whoever set the message aside may not be done with that one yet, and takes another of the same
	// id for a copy.
	if _, err := b.send(ctx, m, subjects.Derive(d.letter.ID, "replay", d.letter.Component)); err != nil {
		return fmt.Errorf("replay dead letter %s: %w", d.letter.ID, err)
	}

	return b.Forget(ctx, d)
}

// Forget drops a dead letter. One that is gone already is no error.
func (b *Bus) Forget(ctx context.Context, d Dead) error {
	if d.letter == nil {
		return fmt.Errorf("forget dead letter: %w", errNotListed)
	}

	if err := b.bus.Drop(ctx, d.letter); err != nil {
		return fmt.Errorf("forget dead letter %s: %w", d.letter.ID, err)
	}

	return nil
}

// bury sets a published message aside for a subscriber.
func (b *Bus) bury(ctx context.Context, name string, m Message, reason string) error {
	box, err := subjects.MessageBox(name)
	if err != nil {
		return fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}

	body, err := json.Marshal(m)
	if err != nil {
		return err
	}

	l := &bus.Letter{
		ID: m.ID, Component: box, Session: cmp.Or(m.Session, subjects.AppSession), Body: body, Deliveries: m.RetryCount + 1,
	}

	return b.buryLetter(ctx, l, reason)
}

// buryLetter sets a letter aside. Of the reason it keeps what there is room for: a handler's error may have any text.
func (b *Bus) buryLetter(ctx context.Context, l *bus.Letter, reason string) error {
	most := min(maxReason, b.bus.Info().MaxBody/64)
	reason = strings.ToValidUTF8(reason[:min(len(reason), most)], "")

	d := &bus.DeadLetter{Letter: *l, Reason: reason, At: time.Now().UTC()}
	if err := b.bus.Bury(ctx, d); err != nil {
		return fmt.Errorf("set message %s aside: %w", l.ID, err)
	}

	b.stats.buried(reason)

	return nil
}
