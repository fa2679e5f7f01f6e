package redisbus

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/redis/go-redis/v9"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/wire"
)

const (
	// readWindow is how many entries Read asks for at once after the first few.
	readWindow = 128
	readFirst  = 8
)

// Last returns the last frame of a stream as the master has it; see [bus.Log].
func (b *Bus) Last(ctx context.Context, id bus.StreamID) (*bus.Entry, error) {
	key, err := b.ns.RedisLog(id.Session, id.Stream)
	if err != nil {
		return nil, fmt.Errorf("last frame: %w: %w", bus.ErrInvalid, err)
	}
	e, err := b.lastBefore(ctx, id, key, "+")
	if err != nil {
		return nil, fmt.Errorf("last frame of %s: %w", id, err)
	}

	return e, nil
}

// lastBefore returns the last frame whose entry's id is at most end, or nil. It skips what is foreign.
func (b *Bus) lastBefore(ctx context.Context, id bus.StreamID, key, end string) (*bus.Entry, error) {
	for count := int64(1); ; count = readWindow {
		list, err := b.entries(ctx, "XREVRANGE", key, end, "-", count)
		if err != nil || len(list) == 0 {
			return nil, err
		}
		for _, m := range list {
			e, err := b.decode(id, m)
			if !errors.Is(err, wire.ErrForeign) {
				return e, err
			}
		}
		end = "(" + list[len(list)-1].id
	}
}

// Read yields the frames that a reader at from has not seen; see [bus.Log]. It seeks to where from is, so its cost
// depends on the distance to last and on nothing else in the log. It holds a bounded number of entries at a time. When
// last has expired it is an error that wraps [bus.ErrNotFound].
func (b *Bus) Read(ctx context.Context, last *bus.Entry, from bus.Cursor) iter.Seq2[*bus.Entry, error] {
	return func(yield func(*bus.Entry, error) bool) {
		if last == nil {
			return
		}
		if err := b.read(ctx, last, from, yield); err != nil {
			yield(nil, fmt.Errorf("read %.40q, %.40q: %w", last.ID.Session, last.ID.Stream, err))
		}
	}
}

// read returns nil when the consumer ended it.
func (b *Bus) read(ctx context.Context, last *bus.Entry, from bus.Cursor, yield func(*bus.Entry, error) bool) error {
	key, err := b.ns.RedisLog(last.ID.Session, last.ID.Stream)
	if err != nil {
		return fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}
	if err := b.ready(ctx); err != nil {
		return err
	}
	start, err := b.seek(ctx, last.ID, key, from)
	if err != nil {
		return err
	}
	end := entryID(last.Position)
	for count := int64(readFirst); ; count = readWindow {
		list, err := b.entries(ctx, "XRANGE", key, start, end, count)
		switch {
		case err != nil:
			return err
		case len(list) == 0:
			return fmt.Errorf("entry %s: %w", end, bus.ErrNotFound)
		}
		for _, m := range list {
			e, err := b.decode(last.ID, m)
			switch {
			case errors.Is(err, wire.ErrForeign):
				continue
			case err != nil:
				return err
			case ctx.Err() != nil:
				return ctx.Err()
			case !yield(e, nil) || e.Position == last.Position:
				return nil
			}
		}
		start = "(" + list[len(list)-1].id
	}
}

// seek returns the id of an entry at or before the first that a reader at a cursor has not seen. An attempt that begins
// behind the cursor's index leaves visible what earlier attempts wrote before it, so the reader may need that, too.
func (b *Bus) seek(ctx context.Context, id bus.StreamID, key string, from bus.Cursor) (string, error) {
	for from.Attempt > 0 {
		e, err := b.lastBefore(ctx, id, key, idAt(from))
		switch {
		case err != nil:
			return "", err
		case e == nil:
			return "-", nil
		case e.Attempt == from.Attempt:
			return entryID(e.Position), nil
		}
		from.Attempt = e.Attempt
	}

	return "-", nil
}

// stored is an entry as Redis has it.
type stored struct {
	id     string
	fields []string
}

// entries runs XRANGE or XREVRANGE.
func (b *Bus) entries(ctx context.Context, command, key, from, to string, count int64) ([]stored, error) {
	if err := b.ready(ctx); err != nil {
		return nil, err
	}
	try, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	reply, err := b.client.Do(try, command, key, from, to, "COUNT", count).Slice()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, b.ended(ctx, b.readError(try, err))
	}
	list := make([]stored, 0, len(reply))
	for _, item := range reply {
		m, ok := storedOf(item)
		if !ok {
			return nil, fmt.Errorf("%w to %s", errReply, command)
		}
		list = append(list, m)
	}

	return list, nil
}

// storedOf reads an item of a reply: an id, and a list of fields and their values.
func storedOf(item any) (stored, bool) {
	pair, _ := item.([]any)
	if len(pair) != 2 {
		return stored{}, false
	}
	id, ok := pair[0].(string)
	list, okList := pair[1].([]any)
	m := stored{id: id, fields: make([]string, len(list))}
	for i, v := range list {
		text, okText := v.(string)
		m.fields[i], ok = text, ok && okText
	}

	return m, ok && okList
}

// decode is decodeStored that counts what can't be read.
func (b *Bus) decode(id bus.StreamID, m stored) (*bus.Entry, error) {
	e, err := decodeStored(id, m)
	if err != nil {
		b.counts.Add(err)

		return nil, fmt.Errorf("entry %.50s: %w", m.id, err)
	}

	return e, nil
}

// ended puts the caller's own end in place of that of one try.
func (*Bus) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", err, ctx.Err())
	}

	return err
}
