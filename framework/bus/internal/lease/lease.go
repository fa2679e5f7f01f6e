// Package lease says for how long a hold on something lasts that others may take when its time is over.
//
// A process can stand still without its clocks agreeing about it: on a suspended machine the monotonic clock stops, and
// the time of day jumps when it wakes up; a clock that is set jumps and nothing stood still. Nobody can tell the two apart,
// so a hold is over when either clock says so.
package lease

import "time"

// Left returns for how long a hold lasts that ends at a time which [time.Now] was the base of: what is left by the
// clock of which less is left.
func Left(until time.Time) time.Duration { return left(until, time.Now()) }

func left(until, now time.Time) time.Duration {
	return min(until.Sub(now), until.Round(0).Sub(now.Round(0))) // Round takes the monotonic clock away
}
