package redisbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

var _ bus.DeadLetters = (*Bus)(nil)

// The fields of a dead letter, besides those of a letter.
const (
	deadComponent  = "component"
	deadSession    = "session"
	deadDeliveries = "deliveries"
	deadReason     = "reason"
	deadAt         = "at"
	deadAttempts   = "attempts"
	deadInput      = "input"
	deadInputType  = "input-type"
	deadTruncated  = "truncated"
)

// deadPage is about how many bytes of dead letters are read at once.
const deadPage = 1 << 20

// Bury keeps a dead letter; see [bus.DeadLetters]. It tries again until ctx ends or the server refuses for good.
func (b *Bus) Bury(ctx context.Context, d *bus.DeadLetter) error {
	if err := checkDead(&d.Letter); err != nil {
		return fmt.Errorf("bury letter: %w", err)
	}

	fields, err := encodeDead(d)
	if err != nil {
		return fmt.Errorf("bury letter %s: %w", d.ID, err)
	}

	if n, most := deadSize(d), b.Info().MaxBody; n > most {
		return fmt.Errorf("bury letter %s: %d bytes with its input, of at most %d: %w", d.ID, n, most, bus.ErrTooLarge)
	}

	keys := b.ns.RedisDead()
	args := append([]any{d.Component, d.Session, d.ID, bus.DeadLetterAge.Microseconds()}, fields...)

	err = b.insist(ctx, func() error {
		_, err := b.run(ctx, b.scripts.bury, []string{keys.Letters, keys.Index, keys.IDs}, args...)

		return err
	})
	if err != nil {
		return fmt.Errorf("bury letter %s: %w", d.ID, err)
	}

	return nil
}

// Dead yields dead letters; see [bus.DeadLetters]. It reads them in pages.
func (b *Bus) Dead(ctx context.Context, component string) iter.Seq2[*bus.DeadLetter, error] {
	return func(yield func(*bus.DeadLetter, error) bool) {
		if component != "" {
			if err := subjects.CheckID("component", component); err != nil {
				yield(nil, fmt.Errorf("list dead letters: %w: %w", bus.ErrInvalid, err))

				return
			}
		}

		if err := b.dead(ctx, component, func(d *bus.DeadLetter) bool { return yield(d, nil) }); err != nil {
			yield(nil, fmt.Errorf("list dead letters: %w", err))
		}
	}
}

func (b *Bus) dead(ctx context.Context, component string, yield func(*bus.DeadLetter) bool) error {
	keys := b.ns.RedisDead()

	for after := ""; ; {
		page, err := b.runList(ctx, b.scripts.deadList, 0, []string{keys.Letters, keys.Index},
			component, after, bus.DeadLetterAge.Microseconds(), deadPage)
		if err != nil || len(page) == 0 {
			return err
		}

		for _, item := range page {
			pair, _ := item.([]any)
			if len(pair) != 2 {
				return fmt.Errorf("%w: a dead letter of %d parts", errReply, len(pair))
			}

			e, _ := parseEntry(pair[0], pair[1])
			after = e.ID

			d, err := b.decodeDead(e)
			if err != nil {
				return err
			}

			if err := b.ready(ctx); err != nil {
				return err
			}

			if d != nil && !yield(d) {
				return nil
			}
		}
	}
}

// Buried returns a dead letter; see [bus.DeadLetters].
func (b *Bus) Buried(ctx context.Context, l *bus.Letter) (*bus.DeadLetter, error) {
	d, err := b.buried(ctx, l)
	if err == nil && d == nil {
		err = bus.ErrNotFound
	}

	if err != nil {
		return nil, fmt.Errorf("get dead letter %.64q: %w", l.ID, err)
	}

	return d, nil
}

// buried returns nil for a letter that is gone.
func (b *Bus) buried(ctx context.Context, l *bus.Letter) (*bus.DeadLetter, error) {
	if err := checkListed(l); err != nil {
		return nil, err
	}

	entry := formatPosition(l.Position)

	fields, err := b.runList(ctx, b.scripts.deadGet, 0, []string{b.ns.RedisDead().Letters},
		l.Component, l.Session, l.ID, entry, bus.DeadLetterAge.Microseconds())
	if err != nil || len(fields) == 0 {
		return nil, err
	}

	e, _ := parseEntry(entry, fields)

	return b.decodeDead(e)
}

// Drop forgets a dead letter; see [bus.DeadLetters].
func (b *Bus) Drop(ctx context.Context, d *bus.DeadLetter) error {
	if err := checkListed(&d.Letter); err != nil {
		return fmt.Errorf("drop dead letter: %w", err)
	}

	keys := b.ns.RedisDead()

	_, err := b.run(ctx, b.scripts.drop, []string{keys.Letters, keys.Index, keys.IDs},
		d.Component, d.Session, d.ID, formatPosition(d.Position))
	if err != nil {
		return fmt.Errorf("drop dead letter %s: %w", d.ID, err)
	}

	return nil
}

// checkDead refuses a letter that can't be kept.
func checkDead(l *bus.Letter) error {
	err := errors.Join(subjects.CheckID("component", l.Component), subjects.CheckID("session", l.Session),
		subjects.CheckID("turn", l.ID))
	if err != nil {
		return fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}

	return nil
}

// checkListed refuses what no listing has returned.
func checkListed(l *bus.Letter) error {
	if err := checkDead(l); err != nil {
		return err
	}

	if l.Position == (bus.Position{}) {
		return fmt.Errorf("it did not come from a listing: %w", bus.ErrInvalid)
	}

	return nil
}

// encodeDead returns the fields and values of a dead letter, one after another.
func encodeDead(d *bus.DeadLetter) ([]any, error) {
	attempts, err := json.Marshal(d.Attempts)
	if err != nil {
		return nil, fmt.Errorf("encode: %w: %w", bus.ErrInvalid, err)
	}

	fields := append(encodeLetter(&d.Letter),
		deadComponent, d.Component, deadSession, d.Session, deadDeliveries, strconv.Itoa(d.Deliveries),
		deadReason, d.Reason, deadAt, d.At.UTC().Format(time.RFC3339Nano), deadAttempts, attempts,
		deadInput, d.Input, deadInputType, string(d.InputType), deadTruncated, strconv.FormatBool(d.Truncated))

	return fields, nil
}

// deadSize counts the bytes of all that has no bound of its own.
func deadSize(d *bus.DeadLetter) int {
	n := len(d.Body) + len(d.Reason) + len(d.Input) + len(d.InputType)

	for _, v := range d.Trace {
		n += len(v)
	}

	for _, a := range d.Attempts {
		n += len(a.Instance) + len(a.Reason)
	}

	return n
}

// decodeDead returns nil for what isn't ours, and fails for what a newer program wrote.
func (b *Bus) decodeDead(e redis.XMessage) (*bus.DeadLetter, error) {
	l, err := decodeLetter(text(e.Values, deadComponent), text(e.Values, deadSession), e)
	if errors.Is(err, bus.ErrUnsupported) {
		b.counts.Add(err)

		return nil, fmt.Errorf("dead letter: %w", err)
	}

	d := &bus.DeadLetter{
		Reason: text(e.Values, deadReason), Input: []byte(text(e.Values, deadInput)),
		InputType: bus.DataType(text(e.Values, deadInputType)), Truncated: text(e.Values, deadTruncated) == "true",
	}

	var numberErr, timeErr error

	if err == nil {
		d.Letter = *l
		d.Deliveries, numberErr = strconv.Atoi(text(e.Values, deadDeliveries))
		d.At, timeErr = time.Parse(time.RFC3339Nano, text(e.Values, deadAt))
		err = errors.Join(numberErr, timeErr, json.Unmarshal([]byte(text(e.Values, deadAttempts)), &d.Attempts))
	}

	if err != nil {
		b.counts.Add(bus.ErrCorrupt)

		return nil, nil //nolint:nilerr // one that can't be read must not hide the others
	}

	d.At = d.At.UTC()
	for i := range d.Attempts {
		d.Attempts[i].At = d.Attempts[i].At.UTC()
	}

	return d, nil
}
