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
	e, err := b.last(ctx, id, key)
	if err != nil {
		return nil, fmt.Errorf("last frame of %s: %w", id, err)
	}

	return e, nil
}

// last returns the last frame of a log, or nil. It skips what is foreign.
func (b *Bus) last(ctx context.Context, id bus.StreamID, key string) (*bus.Entry, error) {
	end := "+"
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
// depends on the distance to last and on nothing else in the log. It holds a bounded number of entries at a time. Entries
// that are too old are not read, though they may be there until the next append. When last has expired it is an error
// that wraps [bus.ErrNotFound].
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
	names, err := b.logNames(last.ID)
	if err != nil {
		return err
	}
	list, err := b.firstUnseen(ctx, names, last, from)
	for err == nil {
		if len(list) == 0 {
			return fmt.Errorf("entry %s: %w", entryID(last.Position), bus.ErrNotFound)
		}
		for _, m := range list {
			e, err := b.decode(last.ID, m)
			switch {
			case errors.Is(err, wire.ErrForeign):
				continue
			case err != nil:
				return err
			case e.Position == last.Position && e.Writer != last.Writer: // the log began anew meanwhile
				return fmt.Errorf("entry %s: %w", m.id, bus.ErrNotFound)
			case ctx.Err() != nil:
				return ctx.Err()
			case !yield(e, nil) || e.Position == last.Position:
				return nil
			}
		}
		list, err = b.entries(ctx, "XRANGE", names.log, "("+list[len(list)-1].id, entryID(last.Position), readWindow)
	}

	return err
}

// firstUnseen returns the first few entries up to last that a reader at a cursor has not seen, and maybe some before
// them; none when last is not there any more.
func (b *Bus) firstUnseen(ctx context.Context, names logNames, last *bus.Entry, from bus.Cursor) ([]stored, error) {
	return b.stored(ctx, func(try context.Context) *redis.Cmd {
		return b.scripts.read.lua.Run(try, b.client, []string{names.log, names.head},
			from.Attempt, minorAt(from), entryID(last.Position), packBegin(last),
			b.cfg.MaxAge.Milliseconds(), readFirst)
	})
}

// stored is an entry as Redis has it.
type stored struct {
	id     string
	fields []string
}

// entries runs XRANGE or XREVRANGE.
func (b *Bus) entries(ctx context.Context, command, key, from, to string, count int64) ([]stored, error) {
	return b.stored(ctx, func(try context.Context) *redis.Cmd {
		return b.client.Do(try, command, key, from, to, "COUNT", count)
	})
}

// stored tries once to get entries.
func (b *Bus) stored(ctx context.Context, get func(try context.Context) *redis.Cmd) ([]stored, error) {
	if err := b.ready(ctx); err != nil {
		return nil, err
	}
	try, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	reply, err := get(try).Slice()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, b.ended(ctx, b.readError(try, err))
	}
	list := make([]stored, 0, len(reply))
	for _, item := range reply {
		m, ok := storedOf(item)
		if !ok {
			return nil, fmt.Errorf("%w: an entry is %T", errReply, item)
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
