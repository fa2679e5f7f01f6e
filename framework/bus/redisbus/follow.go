package redisbus

import (
	"context"
	"fmt"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Follow delivers the frames of a stream as they are stored; see [bus.Log]. Readers of one stream share its entries,
// which they must not change. deliver must not call stop.
func (b *Bus) Follow(ctx context.Context, id bus.StreamID, deliver func(*bus.Entry)) (func(), error) {
	channel, err := b.ns.RedisLive(id.Session, id.Stream)
	if err != nil {
		return nil, fmt.Errorf("follow: %w: %w", bus.ErrInvalid, err)
	}
	stop, err := b.hub.subscribe(ctx, channel, func(m *message) {
		if e := b.decodeOnce(id, m); e != nil {
			deliver(e)
		}
	}, func() { deliver(nil) })
	if err != nil {
		return nil, fmt.Errorf("follow %s: %w", id, err)
	}

	return stop, nil
}

// decodeOnce returns the entry of a live frame, or nil for what is none; the first reader decodes it for all.
func (b *Bus) decodeOnce(id bus.StreamID, m *message) *bus.Entry {
	if !m.decoded {
		m.decoded = true
		e, err := decodeFrame(id, m.payload)
		if err != nil {
			b.counts.Add(err)
		}
		m.entry = e
	}

	return m.entry
}
