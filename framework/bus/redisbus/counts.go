package redisbus

import (
	"errors"
	"sync/atomic"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Counts is how many entries could not be read since the bus was opened. One entry counts each time it is met.
type Counts struct {
	// Foreign entries have none of our fields.
	Foreign uint64
	// Corrupt entries have a checksum or fields that don't fit.
	Corrupt uint64
	// Unsupported entries have a newer protocol version.
	Unsupported uint64
}

// Counts returns how many entries could not be read so far.
func (b *Bus) Counts() Counts {
	return Counts{
		Foreign: b.counts.foreign.Load(), Corrupt: b.counts.corrupt.Load(), Unsupported: b.counts.unsupported.Load(),
	}
}

type counters struct{ foreign, corrupt, unsupported atomic.Uint64 }

func (c *counters) add(err error) {
	switch {
	case errors.Is(err, errForeign):
		c.foreign.Add(1)
	case errors.Is(err, bus.ErrUnsupported):
		c.unsupported.Add(1)
	default:
		c.corrupt.Add(1)
	}
}
