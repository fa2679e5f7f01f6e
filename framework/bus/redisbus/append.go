package redisbus

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"slices"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/wire"
)

//go:embed append.lua
var appendLua string

// What the script of an append returns.
const (
	replyOK       = "ok"
	replyConflict = "conflict"
	replyBlocked  = "blocked"
)

// Append stores a frame; see [bus.Log]. One try waits for at most [Config].AppendTimeout. A log whose order another
// program broke is an error that wraps [bus.ErrCorrupt].
func (b *Bus) Append(ctx context.Context, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	e, err := b.append(ctx, f, after)
	if err != nil {
		return nil, fmt.Errorf("append frame of %.40q, %.40q: %w", f.ID.Session, f.ID.Stream, err)
	}

	return e, nil
}

func (b *Bus) append(ctx context.Context, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	args, p, err := b.entryArgs(f, after)
	if err != nil {
		return nil, err
	}
	key, err := b.ns.RedisLog(f.ID.Session, f.ID.Stream)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}
	try, cancel := context.WithTimeout(ctx, b.cfg.AppendTimeout)
	defer cancel()
	reply, err := b.run(try, b.appendScript, []string{key}, args...)
	if err != nil {
		return nil, b.ended(ctx, err)
	}
	switch reply {
	case replyOK:
		return storedEntry(f, p), nil
	case replyConflict:
		return nil, bus.ErrConflict
	case replyBlocked:
		if goesBack(p, after) {
			return nil, fmt.Errorf("an entry %s behind %s: %w", entryID(p), entryID(after.Position), bus.ErrInvalid)
		}

		return nil, fmt.Errorf("key %s holds a foreign entry with an id after %s: %w", key, entryID(p), bus.ErrCorrupt)
	default:
		return nil, fmt.Errorf("%w: script %s returned %v", errReply, b.appendScript.name, reply)
	}
}

// entryArgs checks a frame and returns the script's arguments and where the frame goes.
func (b *Bus) entryArgs(f *bus.Frame, after *bus.Entry) ([]any, bus.Position, error) {
	live, err := b.ns.RedisLive(f.ID.Session, f.ID.Stream)
	if err != nil {
		return nil, bus.Position{}, fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}
	if err := wire.CheckFrame(f); err != nil {
		return nil, bus.Position{}, err
	}
	if len(f.Body) > maxBody {
		return nil, bus.Position{}, fmt.Errorf("body of %d bytes: %w", len(f.Body), bus.ErrTooLarge)
	}
	if after != nil && after.ID != f.ID {
		return nil, bus.Position{}, fmt.Errorf("the entry before is of %s: %w", after.ID, bus.ErrConflict)
	}
	p, err := place(f, after)
	if err != nil {
		return nil, p, err
	}
	id := entryID(p)
	v := encodeFrame(f, id)
	if n := v.size(); n > maxFields {
		return nil, p, fmt.Errorf("fields of %d bytes: %w", n, bus.ErrTooLarge)
	}
	last, writer := "", ""
	if after != nil {
		last, writer = entryID(after.Position), after.Writer
	}
	args := make([]any, 0, 6+2*(fieldCount+1))
	args = append(args, id, last, writer, b.cfg.MaxAge.Milliseconds(), live, f.Writer)

	return v.appendTo(args, f.Body), p, nil
}

// ended puts the caller's own end in place of that of one try.
func (*Bus) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", err, ctx.Err())
	}

	return err
}

// storedEntry returns the entry of a frame. It shares nothing that the caller may use again.
func storedEntry(f *bus.Frame, p bus.Position) *bus.Entry {
	e := &bus.Entry{Frame: *f, Position: p}
	e.Lengths, e.Body = slices.Clone(f.Lengths), slices.Clone(f.Body)
	e.Meta, e.Trace = maps.Clone(f.Meta), maps.Clone(f.Trace)

	return e
}
