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
	names, err := b.logNames(f.ID)
	if err != nil {
		return nil, err
	}
	p, err := checked(f, after)
	if err != nil {
		return nil, err
	}
	frame, begin, err := packFrame(f, p)
	if err != nil {
		return nil, err
	}
	before := []byte(nil)
	if after != nil {
		before = packBegin(after.Position, after.Writer)
	}
	try, cancel := context.WithTimeout(ctx, b.cfg.AppendTimeout)
	defer cancel()
	reply, err := b.run(try, b.appendScript, []string{names.log, names.head},
		entryID(p), before, frame[:begin], b.cfg.MaxAge.Milliseconds(), names.live, frame)
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

		return nil, fmt.Errorf("key %s holds a foreign entry with an id after %s: %w", names.log, entryID(p), bus.ErrCorrupt)
	default:
		return nil, fmt.Errorf("%w: script %s returned %v", errReply, b.appendScript.name, reply)
	}
}

// logNames are what the server calls the parts of a log.
type logNames struct{ log, head, live string }

func (b *Bus) logNames(id bus.StreamID) (n logNames, err error) {
	if n.log, err = b.ns.RedisLog(id.Session, id.Stream); err != nil {
		return n, fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}
	if n.head, err = b.ns.RedisHead(id.Session, id.Stream); err != nil {
		return n, fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}
	if n.live, err = b.ns.RedisLive(id.Session, id.Stream); err != nil {
		return n, fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}

	return n, nil
}

// checked checks a frame and returns where it goes.
func checked(f *bus.Frame, after *bus.Entry) (bus.Position, error) {
	if err := wire.CheckFrame(f); err != nil {
		return bus.Position{}, err
	}
	if len(f.Body) > maxBody {
		return bus.Position{}, fmt.Errorf("body of %d bytes: %w", len(f.Body), bus.ErrTooLarge)
	}
	if after != nil && after.ID != f.ID {
		return bus.Position{}, fmt.Errorf("the entry before is of %s: %w", after.ID, bus.ErrConflict)
	}

	return place(f, after)
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
