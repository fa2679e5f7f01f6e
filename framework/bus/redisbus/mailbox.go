package redisbus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

var _ bus.Mailbox = (*Bus)(nil)

// Post stores a letter and makes sure that a worker will see it; see [bus.Mailbox]. A letter with the id of one that
// is not done yet is not stored again. Post tries again until ctx ends or the server refuses for good.
func (b *Bus) Post(ctx context.Context, l *bus.Letter) error {
	box, err := b.box(l.Component, l.Session)
	if err != nil {
		return fmt.Errorf("post letter: %w", err)
	}

	if err := b.checkLetter(l); err != nil {
		return fmt.Errorf("post letter: %w", err)
	}

	args := append([]any{l.ID, l.Session, box.Wake}, encodeLetter(l)...)
	keys := []string{box.Inbox, box.Letters, box.Due}

	err = b.insist(ctx, func() error {
		_, err := b.run(ctx, b.scripts.post, keys, args...)

		return err
	})
	if err != nil {
		return fmt.Errorf("post letter %s: %w", l.ID, err)
	}

	return nil
}

// Peek returns the oldest letter of a mailbox; see [bus.Mailbox].
func (b *Bus) Peek(ctx context.Context, component, session string) (*bus.Letter, error) {
	box, err := b.box(component, session)
	if err != nil {
		return nil, fmt.Errorf("peek: %w", err)
	}

	for from := "-"; ; {
		entries, err := b.firstEntries(ctx, box.Inbox, from)
		if err != nil {
			return nil, fmt.Errorf("peek: %w", err)
		}

		if len(entries) == 0 {
			return nil, nil //nolint:nilnil // no letter is an answer, not a failure
		}

		l, err := decodeLetter(component, session, entries[0])
		if !errors.Is(err, bus.ErrCorrupt) {
			return l, err
		}

		from = "(" + entries[0].ID // what isn't ours waits for nobody
	}
}

// Backlog says how far the workers of a component are behind; see [bus.Mailbox]. It is one command.
func (b *Bus) Backlog(ctx context.Context, component string) (bus.Backlog, error) {
	keys, err := b.ns.RedisMailboxes(component)
	if err != nil {
		return bus.Backlog{}, fmt.Errorf("backlog: %w: %w", bus.ErrInvalid, err)
	}

	answer, err := b.runList(ctx, b.scripts.backlog, 2, []string{keys.Due})
	if err != nil {
		return bus.Backlog{}, fmt.Errorf("backlog: %w", err)
	}

	waiting, _ := answer[0].(int64)
	oldest, _ := answer[1].(int64)

	return bus.Backlog{Waiting: int(waiting), Oldest: time.Duration(oldest) * time.Microsecond}, nil
}

func (b *Bus) box(component, session string) (subjects.RedisMailbox, error) {
	box, err := b.ns.RedisMailbox(component, session)
	if err != nil {
		return box, fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}

	return box, nil
}

func (b *Bus) checkLetter(l *bus.Letter) error {
	if err := subjects.CheckID("turn", l.ID); err != nil {
		return fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}

	if len(l.Body) > b.Info().MaxBody {
		return fmt.Errorf("letter %s: body of %d bytes, of at most %d: %w", l.ID, len(l.Body), b.Info().MaxBody, bus.ErrTooLarge)
	}

	return nil
}

// firstEntries returns the first entry of a Redis stream from an id on, or none.
func (b *Bus) firstEntries(ctx context.Context, key, from string) ([]redis.XMessage, error) {
	if err := b.ready(ctx); err != nil {
		return nil, err
	}

	entries, err := b.client.XRangeN(ctx, key, from, "+", 1).Result()

	return entries, b.readError(ctx, err)
}
