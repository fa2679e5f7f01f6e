package wire

import (
	"errors"
	"sync/atomic"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// ErrForeign is the error of an entry that nothing marks as one of ours. It is ignored and counted: whoever may write to
// the broker can put one there.
var ErrForeign = errors.New("not a frame of Woodwork")

// Counts is how many entries could not be read since the bus was opened. One entry counts each time it is met.
type Counts struct {
	// Foreign entries are not ours.
	Foreign uint64
	// Corrupt entries have a checksum or headers that don't fit.
	Corrupt uint64
	// Unsupported entries have a newer protocol version.
	Unsupported uint64
}

// Counters counts entries that could not be read. Its methods may be called concurrently; the zero value is ready.
type Counters struct{ foreign, corrupt, unsupported atomic.Uint64 }

// Add counts an entry by why it could not be read.
func (c *Counters) Add(err error) {
	switch {
	case errors.Is(err, ErrForeign):
		c.foreign.Add(1)
	case errors.Is(err, bus.ErrUnsupported):
		c.unsupported.Add(1)
	default:
		c.corrupt.Add(1)
	}
}

// Counts returns what was counted so far.
func (c *Counters) Counts() Counts {
	return Counts{Foreign: c.foreign.Load(), Corrupt: c.corrupt.Load(), Unsupported: c.unsupported.Load()}
}
