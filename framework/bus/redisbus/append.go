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

var _ bus.Starter = (*Bus)(nil)

// Append stores a frame; see [bus.Log]. One try waits for at most [Config].AppendTimeout, and on a server that answers
// nothing for as long again before it is sent. A log whose order another
// program broke is an error that wraps [bus.ErrCorrupt].
func (b *Bus) Append(ctx context.Context, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, appendError(f.ID, err)
	}
	outcome := make(chan appended, 1)
	if err := b.Start(f, after, func(e *bus.Entry, err error) { outcome <- appended{e, err} }); err != nil {
		return nil, err
	}
	select {
	case got := <-outcome:
		return got.entry, got.err
	case <-ctx.Done():
		return nil, appendError(f.ID, fmt.Errorf("%w: %w", bus.ErrUnknown, ctx.Err()))
	}
}

// appended is the outcome of an append.
type appended struct {
	entry *bus.Entry
	err   error
}

func appendError(id bus.StreamID, err error) error {
	return fmt.Errorf("append frame of %.40q, %.40q: %w", id.Session, id.Stream, err)
}

// Start begins to store a frame; see [bus.Starter]. Otherwise it is Append.
func (b *Bus) Start(f *bus.Frame, after *bus.Entry, done func(*bus.Entry, error)) error {
	w, err := b.appending(f, after, done)
	if err == nil {
		err = b.appender.add(w)
	}
	if err != nil {
		return appendError(f.ID, err)
	}

	return nil
}

func (b *Bus) appending(f *bus.Frame, after *bus.Entry, done func(*bus.Entry, error)) (*appending, error) {
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
		before = packBegin(after)
	}

	id, stored := f.ID, storedEntry(f, p) // whoever stops waiting may use the frame again

	return &appending{
		keys: []string{names.log, names.head},
		args: []any{entryID(p), before, frame[:begin], b.cfg.MaxAge.Milliseconds(), names.live, frame},
		size: len(frame),
		done: func(reply any, err error) {
			if err == nil {
				err = b.verdict(reply, p, after, names.log)
			}
			if err != nil {
				done(nil, appendError(id, err))

				return
			}
			done(stored, nil)
		},
	}, nil
}

// verdict is what the script's reply to an append at p says.
func (b *Bus) verdict(reply any, p bus.Position, after *bus.Entry, log string) error {
	switch reply {
	case replyOK:
		return nil
	case replyConflict:
		return bus.ErrConflict
	case replyBlocked:
		if goesBack(p, after) {
			return fmt.Errorf("an entry %s behind %s: %w", entryID(p), entryID(after.Position), bus.ErrInvalid)
		}

		return fmt.Errorf("key %s holds a foreign entry with an id after %s: %w", log, entryID(p), bus.ErrCorrupt)
	default:
		return fmt.Errorf("%w: script %s returned %v", errReply, b.appendScript.name, reply)
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

// storedEntry returns the entry of a frame. It shares nothing that the caller may use again.
func storedEntry(f *bus.Frame, p bus.Position) *bus.Entry {
	e := &bus.Entry{Frame: *f, Position: p}
	e.Lengths, e.Body = slices.Clone(f.Lengths), slices.Clone(f.Body)
	e.Meta, e.Trace = maps.Clone(f.Meta), maps.Clone(f.Trace)

	return e
}
