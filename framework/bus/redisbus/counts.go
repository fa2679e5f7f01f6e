package redisbus

import "github.com/woodwork-go/woodwork/framework/bus/internal/wire"

// Counts is how many entries could not be read since the bus was opened. One entry counts each time it is met.
type Counts = wire.Counts

// Counts returns how many entries could not be read so far.
func (b *Bus) Counts() Counts { return b.counts.Counts() }
