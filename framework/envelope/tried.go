package envelope

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

const (
	// triedAfter is for how much longer than its message a note of its tries is kept.
	triedAfter = time.Hour
	// forgetTimeout bounds taking back a try that was cut off.
	forgetTimeout = time.Second
)

var (
	// errCut: an earlier delivery began a message of AtMostOnce.
	errCut = errors.New("its only try has begun before")
	// errCopy: another letter with the same message was handled.
	errCopy = errors.New("the message was handled from another letter")
)

// tries is what is known, wherever a letter is handed out, of how often its message was tried. A mailbox's count of
// deliveries is not that: a message may be handed out and not be read, or be handed over.
type tries struct {
	bus      *Bus
	letter   *bus.Letter
	place    string
	name     string // random, of this delivery
	key      string
	ttl      time.Duration
	revision uint64
}

// triedJSON is the note of a letter's tries.
type triedJSON struct {
	// Place is where the bus keeps the letter, which tells it from another one with the same message.
	Place string `json:"place"`
	// Begun is how many tries are known to have begun.
	Begun int `json:"begun"`
	// By is the random name of the delivery that wrote the note.
	By string `json:"by"`
}

// triesOf returns the tries of a letter that holds a message.
func (b *Bus) triesOf(l *bus.Letter, m *Message, now time.Time) (*tries, error) {
	key, err := subjects.TriedKey(l.Session, l.Component, l.ID)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}

	left := bus.DeadLetterAge
	if m.TTL >= 0 {
		left = max(m.TTL-now.Sub(m.CreatedAt), 0).Round(time.Second) + triedAfter
	}

	place := fmt.Sprintf("%d-%d", l.Position.Major, l.Position.Minor)

	return &tries{bus: b, letter: l, place: place, name: rand.Text(), key: key, ttl: left}, nil
}

// once notes that the message's only try begins. It fails with errCut or errCopy when one has begun before: the note is
// made by one process only, even where the bus has given the mailbox to another one without the first one's noticing.
func (t *tries) once(ctx context.Context) error {
	mine := triedJSON{Place: t.place, Begun: 1, By: t.name}

	for range onceTries {
		err := t.write(ctx, mine)
		if err == nil || !passing(err) {
			return err
		}

		if over, err := t.others(ctx, mine); over {
			return err
		}

		if err := pause(ctx, oncePause); err != nil {
			return err
		}
	}

	return fmt.Errorf("note a try: given up after %d tries: %w", onceTries, bus.ErrUnknown)
}

// others finds out what a note that was refused says, or one that may have been stored. It reports false when that can't
// be said, and when there is none.
func (t *tries) others(ctx context.Context, mine triedJSON) (over bool, err error) {
	there, found, err := t.read(ctx)

	switch {
	case err != nil:
		return !errors.Is(err, bus.ErrUnknown), err
	case !found:
		return false, nil
	case there == mine: // stored by a write whose outcome was unknown
		return true, nil
	case there.Place == mine.Place:
		return true, errCut
	default:
		return true, errCopy
	}
}

// begin returns how often the message was tried before. A first delivery takes it for new, which costs nothing; a later
// one looks, and notes that this try begins: should its process die, nobody else will say so.
func (t *tries) begin(ctx context.Context) (before int, err error) {
	if t.letter.Deliveries <= 1 {
		return 0, nil
	}

	return t.add(ctx)
}

// failed notes a try that failed, unless begin has.
func (t *tries) failed(ctx context.Context) error {
	if t.letter.Deliveries > 1 {
		return nil
	}

	_, err := t.add(ctx)

	return err
}

// cut takes back what begin has noted: this process gave the message up. One that has it now has noted more, and stays.
func (t *tries) cut(ctx context.Context) {
	if t.letter.Deliveries <= 1 {
		return
	}

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), forgetTimeout)
	defer cancel()

	there, found, err := t.read(ctx)
	if err == nil && found && there.By == t.name {
		there.Begun--
		_ = t.write(ctx, there) // else one try less is left
	}
}

// add counts a try and returns how many there were before. Where it can't be said whether that was stored, it may count
// one too many.
func (t *tries) add(ctx context.Context) (before int, err error) {
	for range onceTries {
		there, found, err := t.read(ctx)
		if err == nil {
			if !found || there.Place != t.place {
				there = triedJSON{Place: t.place} // a copy is tried by itself
			}

			before, there.Begun, there.By = there.Begun, there.Begun+1, t.name
			err = t.write(ctx, there)
		}

		if err == nil || !passing(err) {
			return before, err
		}

		if err := pause(ctx, oncePause); err != nil {
			return 0, err
		}
	}

	return 0, fmt.Errorf("note a try: given up after %d tries: %w", onceTries, bus.ErrUnknown)
}

func (t *tries) read(ctx context.Context) (there triedJSON, found bool, err error) {
	e, err := t.bus.bus.Get(ctx, bus.Sessions, t.key)
	t.revision = e.Revision

	if errors.Is(err, bus.ErrNotFound) {
		return there, false, nil
	}

	if err == nil {
		err = json.Unmarshal(e.Value, &there)
	}

	return there, err == nil, err
}

// write stores a note on top of what was read.
func (t *tries) write(ctx context.Context, note triedJSON) error {
	value, err := json.Marshal(note)
	if err != nil {
		return err
	}

	_, err = t.bus.bus.Set(ctx, bus.Sessions, t.key, value, t.revision, t.ttl)

	return err
}
