package membus

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// graveyard holds the dead letters of a broker, oldest first.
type graveyard struct {
	mu       sync.Mutex
	graves   []grave
	position uint64 // of the last one
}

type grave struct {
	letter *bus.DeadLetter
	buried time.Time
}

// of reports whether a grave holds a letter, by the letter's ID and mailbox.
func (o grave) of(l *bus.Letter) bool {
	return o.letter.ID == l.ID && o.letter.Component == l.Component && o.letter.Session == l.Session
}

// is reports whether it does so at the position that the letter has.
func (o grave) is(l *bus.Letter) bool { return o.of(l) && o.letter.Position == l.Position }

var _ bus.DeadLetters = (*Bus)(nil)

// Bury implements [bus.DeadLetters].
func (b *Bus) Bury(ctx context.Context, d *bus.DeadLetter) error {
	if err := checkDead(d, b.broker.cfg.MaxBody); err != nil {
		return fmt.Errorf("bury letter: %w", err)
	}

	if err := b.ready(ctx); err != nil {
		return fmt.Errorf("bury letter: %w", err)
	}

	now := time.Now()
	if !b.broker.reserve(deadBytes(d), now) {
		return fmt.Errorf("bury letter: %w", bus.ErrFull)
	}

	if !b.broker.dead.add(b.broker, copyDead(d), now) {
		b.broker.free(deadBytes(d))
	}

	return nil
}

// Dead implements [bus.DeadLetters]. It yields what is there when it begins.
func (b *Bus) Dead(ctx context.Context, component string) iter.Seq2[*bus.DeadLetter, error] {
	return func(yield func(*bus.DeadLetter, error) bool) {
		if component != "" {
			if err := checkID("component", component); err != nil {
				yield(nil, fmt.Errorf("list dead letters: %w", err))

				return
			}
		}

		for _, d := range append(b.broker.dead.list(b.broker, component), nil) {
			if err := b.ready(ctx); err != nil {
				yield(nil, fmt.Errorf("list dead letters: %w", err))

				return
			}

			if d != nil && !yield(copyDead(d), nil) {
				return
			}
		}
	}
}

// Buried implements [bus.DeadLetters].
func (b *Bus) Buried(ctx context.Context, l *bus.Letter) (*bus.DeadLetter, error) {
	if err := b.named(ctx, l); err != nil {
		return nil, fmt.Errorf("get dead letter: %w", err)
	}

	d := b.broker.dead.find(b.broker, l)
	if d == nil {
		return nil, fmt.Errorf("get dead letter %s: %w", l.ID, bus.ErrNotFound)
	}

	return copyDead(d), nil
}

// Drop implements [bus.DeadLetters].
func (b *Bus) Drop(ctx context.Context, d *bus.DeadLetter) error {
	if err := b.named(ctx, &d.Letter); err != nil {
		return fmt.Errorf("drop dead letter: %w", err)
	}

	b.broker.dead.drop(b.broker, &d.Letter)

	return nil
}

// named refuses what can't be the name of a dead letter.
func (b *Bus) named(ctx context.Context, l *bus.Letter) error {
	if err := checkLetter(l, b.broker.cfg.MaxBody); err != nil {
		return err
	}

	if l.Position.Minor == 0 {
		return fmt.Errorf("it did not come from a listing: %w", bus.ErrInvalid)
	}

	return b.ready(ctx)
}

// add keeps a letter, unless it is kept already.
func (g *graveyard) add(b *Broker, d *bus.DeadLetter, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()

	g.expire(b, now)

	same := func(o grave) bool { return o.of(&d.Letter) }
	if slices.ContainsFunc(g.graves, same) {
		return false
	}

	g.position++
	d.Position = bus.Position{Minor: g.position}
	g.graves = append(g.graves, grave{d, now})

	return true
}

func (g *graveyard) list(b *Broker, component string) []*bus.DeadLetter {
	g.mu.Lock()
	defer g.mu.Unlock()

	g.expire(b, time.Now())

	var list []*bus.DeadLetter

	for _, o := range g.graves {
		if component == "" || o.letter.Component == component {
			list = append(list, o.letter)
		}
	}

	return list
}

// find returns the dead letter that a letter names, or nil.
func (g *graveyard) find(b *Broker, l *bus.Letter) *bus.DeadLetter {
	g.mu.Lock()
	defer g.mu.Unlock()

	g.expire(b, time.Now())

	for _, o := range g.graves {
		if o.is(l) {
			return o.letter
		}
	}

	return nil
}

func (g *graveyard) drop(b *Broker, l *bus.Letter) {
	g.mu.Lock()
	defer g.mu.Unlock()

	g.graves = slices.DeleteFunc(g.graves, func(o grave) bool {
		if !o.is(l) {
			return false
		}

		b.free(deadBytes(o.letter))

		return true
	})
}

// expire drops what is too old; the oldest come first.
func (g *graveyard) expire(b *Broker, now time.Time) {
	for len(g.graves) > 0 && now.Sub(g.graves[0].buried) > bus.DeadLetterAge {
		b.free(deadBytes(g.graves[0].letter))
		g.graves[0] = grave{}
		g.graves = g.graves[1:]
	}
}

func checkDead(d *bus.DeadLetter, maxBody int) error {
	if err := checkLetter(&d.Letter, maxBody); err != nil {
		return err
	}

	if n := deadBytes(d); n > int64(maxBody+itemBytes) {
		return fmt.Errorf("%d bytes, of at most %d: %w", n, maxBody+itemBytes, bus.ErrTooLarge)
	}

	return nil
}

func deadBytes(d *bus.DeadLetter) int64 {
	n := letterBytes(&d.Letter) + int64(len(d.Reason)+len(d.Input))
	for _, a := range d.Attempts {
		n += int64(itemBytes + len(a.Instance) + len(a.Reason))
	}

	return n
}

// copyDead returns a copy that shares nothing, with times as every bus returns them.
func copyDead(d *bus.DeadLetter) *bus.DeadLetter {
	c := *d
	c.Letter = *copyLetter(&d.Letter)
	c.Input = slices.Clone(d.Input)
	c.At = d.At.UTC().Round(0)
	c.Attempts = slices.Clone(d.Attempts)

	for i := range c.Attempts {
		c.Attempts[i].At = c.Attempts[i].At.UTC().Round(0)
	}

	return &c
}
