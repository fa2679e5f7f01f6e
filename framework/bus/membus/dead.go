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

// Drop implements [bus.DeadLetters].
func (b *Bus) Drop(ctx context.Context, d *bus.DeadLetter) error {
	if err := checkLetter(&d.Letter, b.broker.cfg.MaxBody); err != nil {
		return fmt.Errorf("drop dead letter: %w", err)
	}

	if d.Position.Minor == 0 {
		return fmt.Errorf("drop dead letter: it did not come from a listing: %w", bus.ErrInvalid)
	}

	if err := b.ready(ctx); err != nil {
		return fmt.Errorf("drop dead letter: %w", err)
	}

	b.broker.dead.drop(b.broker, d.Position)

	return nil
}

// add keeps a letter, unless it is kept already.
func (g *graveyard) add(b *Broker, d *bus.DeadLetter, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()

	g.expire(b, now)

	same := func(o grave) bool {
		return o.letter.ID == d.ID && o.letter.Component == d.Component && o.letter.Session == d.Session
	}
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

func (g *graveyard) drop(b *Broker, at bus.Position) {
	g.mu.Lock()
	defer g.mu.Unlock()

	g.graves = slices.DeleteFunc(g.graves, func(o grave) bool {
		if o.letter.Position != at {
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
