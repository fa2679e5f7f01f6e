package monitor

import (
	"math"
	"math/bits"
	"time"
)

// histogram counts durations in buckets whose widths grow with the durations: eight to each doubling, so that a quantile
// is at most an eighth too large. It holds all durations from zero to centuries.
type histogram struct {
	buckets [maxBucket + 1]uint32
	total   uint64
}

const (
	// fine is how many bits of a duration, below its first one, tell buckets apart.
	fine = 3
	// maxBucket is the bucket of the longest duration, in units of a microsecond.
	maxBucket = (64-10-fine)<<fine + 1<<fine - 1
)

func (h *histogram) add(d time.Duration) {
	h.buckets[bucket(d)]++
	h.total++
}

func (h *histogram) merge(other *histogram) {
	for i, n := range &other.buckets {
		h.buckets[i] += n
	}

	h.total += other.total
}

// quantile returns a duration that the share q of all did not exceed; 0 when there are none.
func (h *histogram) quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}

	rest := int64(math.Ceil(q * float64(h.total)))
	for i, n := range &h.buckets {
		if rest -= int64(n); rest <= 0 {
			return upper(i)
		}
	}

	return upper(maxBucket)
}

// bucket is that of a duration: the microseconds themselves below 2^fine, then the place of the first bit together with
// the fine ones behind it.
func bucket(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	if us < 1<<fine {
		return int(us)
	}

	shift := bits.Len64(us) - 1 - fine

	return min((shift+1)<<fine+int(us>>shift)&(1<<fine-1), maxBucket)
}

// upper is the longest duration of a bucket.
func upper(b int) time.Duration {
	if b < 1<<fine {
		return time.Duration(b+1)*time.Microsecond - 1
	}

	shift := b>>fine - 1
	us := uint64(1<<fine+b&(1<<fine-1)+1) << shift

	return time.Duration(min(us, math.MaxInt64/uint64(time.Microsecond)))*time.Microsecond - 1
}
