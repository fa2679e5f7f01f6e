// Package measure holds the instruments of the benchmarks: latency histograms, CPU time, memory, and a clock that sends
// at a fixed rate whatever the receiver does.
package measure

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latency counts how long things took, to three digits, from 100 ns to 60 s. It is for one goroutine at a time.
type Latency struct {
	h *hdrhistogram.Histogram
}

// NewLatency returns an empty one.
func NewLatency() *Latency {
	return &Latency{hdrhistogram.New(100, int64(time.Minute), 3)} //nolint:mnd // see above
}

// Add counts one. What is out of range counts as the nearest that is in it.
func (l *Latency) Add(d time.Duration) {
	_ = l.h.RecordValue(min(max(int64(d), l.h.LowestTrackableValue()), l.h.HighestTrackableValue())) // in range
}

// Merge adds what another one counted.
func (l *Latency) Merge(other *Latency) { l.h.Merge(other.h) }

// Count is how many were counted.
func (l *Latency) Count() int64 { return l.h.TotalCount() }

// P returns a percentile, from 0 to 100.
func (l *Latency) P(percentile float64) time.Duration {
	return time.Duration(l.h.ValueAtPercentile(percentile))
}
