package natsbus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/wire"
)

var _ bus.Starter = (*Bus)(nil)

// Append stores a frame; see [bus.Log]. One try waits for at most [Config].AppendTimeout. The returned entry shares
// the frame's memory. A permission that the server denies is an error that names the subject.
func (b *Bus) Append(ctx context.Context, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	m, links, err := b.encode(f, after)
	if err != nil {
		return nil, err
	}

	return b.appended(f, links)(b.req.do(ctx, m, b.cfg.AppendTimeout))
}

// Start begins to store a frame; see [bus.Starter]. Otherwise it is Append. A connection that takes nothing holds it up for
// two seconds at most, and is given up then.
func (b *Bus) Start(f *bus.Frame, after *bus.Entry, done func(*bus.Entry, error)) error {
	m, links, err := b.encode(f, after)
	if err != nil {
		return err
	}
	outcome := b.appended(f, links)

	return b.req.begin(m, b.cfg.AppendTimeout, func(ack *nats.Msg, err error) { done(outcome(ack, err)) })
}

// encode returns the message that stores a frame, and the frame's links.
func (b *Bus) encode(f *bus.Frame, after *bus.Entry) (*nats.Msg, bus.Links, error) {
	subject, err := b.ns.Log(f.ID.Session, f.ID.Stream)
	if err != nil {
		return nil, bus.Links{}, fmt.Errorf("append frame: %w: %w", bus.ErrInvalid, err)
	}
	if err := wire.CheckFrame(f); err != nil {
		return nil, bus.Links{}, fmt.Errorf("append frame of %s: %w", f.ID, err)
	}
	if len(f.Body) > maxBody(b.nc) {
		return nil, bus.Links{}, fmt.Errorf("append frame of %s: body of %d bytes: %w", f.ID, len(f.Body), bus.ErrTooLarge)
	}
	links, last, err := behind(f, after)
	if err != nil {
		return nil, links, fmt.Errorf("append frame of %s: %w", f.ID, err)
	}
	m := &nats.Msg{Subject: subject, Header: encodeFrame(f, links.Text), Data: f.Body}
	if n := headerSize(m.Header); n > maxHeader {
		return nil, links, fmt.Errorf("append frame of %s: headers of %d bytes: %w", f.ID, n, bus.ErrTooLarge)
	}
	expectLast(m, last)

	return m, links, nil
}

// appended makes an entry of the acknowledgement of a frame.
func (b *Bus) appended(f *bus.Frame, links bus.Links) func(ack *nats.Msg, err error) (*bus.Entry, error) {
	return func(ack *nats.Msg, err error) (*bus.Entry, error) {
		var seq uint64
		if err == nil {
			seq, err = b.acked(ack)
		}
		if err != nil {
			return nil, fmt.Errorf("append frame of %s: %w", f.ID, err)
		}

		return &bus.Entry{Frame: *f, Position: bus.Position{Minor: seq}, Links: links}, nil
	}
}

// behind returns the links of the frame that follows after, and the sequence that its append must expect.
func behind(f *bus.Frame, after *bus.Entry) (bus.Links, uint64, error) {
	switch {
	case after == nil:
		return bus.Links{Text: noLinks}, 0, nil
	case after.ID != f.ID:
		return bus.Links{}, 0, fmt.Errorf("the entry before is of %s: %w", after.ID, bus.ErrConflict)
	case after.Links.Text == "":
		return bus.Links{}, 0, fmt.Errorf("the entry before is not of this bus: %w", bus.ErrInvalid)
	}
	links, err := linksBehind(after.Links, after.Position.Minor)

	return links, fence(after), err
}

// fence returns the sequence that the last entry of a log's subject has when e is the last frame: that of an entry
// which isn't ours, if one was put behind the frame.
func fence(e *bus.Entry) uint64 { return max(e.Position.Major, e.Position.Minor) }

// Last returns the last frame of a stream as the leader sees it; see [bus.Log]. It asks again until ctx ends when the
// leader doesn't answer.
func (b *Bus) Last(ctx context.Context, id bus.StreamID) (*bus.Entry, error) {
	subject, err := b.ns.Log(id.Session, id.Stream)
	if err != nil {
		return nil, fmt.Errorf("last frame: %w: %w", bus.ErrInvalid, err)
	}
	e, err := b.last(ctx, id, subject)
	if err != nil {
		return nil, fmt.Errorf("last frame of %s: %w", id, err)
	}

	return e, nil
}

func (b *Bus) last(ctx context.Context, id bus.StreamID, subject string) (*bus.Entry, error) {
	jsStream := b.logNames[b.ns.Shard(id.Session)]
	m, err := b.lastMsg(ctx, jsStream, subject)
	if err != nil || m == nil {
		return nil, err
	}
	top := m.Seq
	for m != nil {
		e, err := b.decode(id, m.Seq, m.Header, m.Data)
		if err == nil {
			if m.Seq != top {
				e.Position.Major = top
			}

			return e, nil
		}
		if !errors.Is(err, wire.ErrForeign) {
			return nil, err
		}
		if m, err = b.lastBefore(ctx, jsStream, subject, m.Seq); err != nil {
			return nil, err
		}
	}

	return nil, fmt.Errorf("entry %d is not a frame of Woodwork, nor are those before: %w", top, bus.ErrCorrupt)
}

// decode is decodeEntry that counts what is dropped.
func (b *Bus) decode(id bus.StreamID, seq uint64, h nats.Header, body []byte) (*bus.Entry, error) {
	e, err := decodeEntry(id, seq, h, body)
	if err != nil {
		b.counts.Add(err)

		return nil, fmt.Errorf("entry %d: %w", seq, err)
	}

	return e, nil
}
