package stream

import (
	"math"
	"time"
)

// lead is how far a writer is ahead of the readers that its stream is assigned to, as far as they told it. The
// writer's lock guards it.
type lead struct {
	readers []assignee
	chunks  uint64        // how many chunks the lead may have
	bytes   int           // and how many bytes
	every   time.Duration // how often readers are asked at first

	begun bool
	base  uint64 // index of the attempt's first chunk

	// The sizes of the chunks that some reader has not read, from index first on, and their sum. A reader that begins
	// again is behind first: what it has to read again is estimated.
	first uint64
	sizes []int
	held  int
	total int // of all chunks of the attempt

	asking ask
	stop   func() // ends the listening; nil when it has ended
}

// assignee is an assigned reader as a writer knows it.
type assignee struct {
	name string
	next uint64 // index of the first chunk that it has not read
	free bool   // it needs no more
}

// newLead returns the lead of a writer over its readers, or nil when it has none or they set no bounds.
func newLead(cfg *Config, names []string) *lead {
	if len(names) == 0 || cfg.AheadChunks == math.MaxInt && cfg.AheadBytes == math.MaxInt {
		return nil
	}
	l := &lead{chunks: uint64(cfg.AheadChunks), bytes: cfg.AheadBytes, every: cfg.Recheck}
	for _, name := range names {
		l.readers = append(l.readers, assignee{name: name})
	}

	return l
}

// begin notes where the attempt begins, before its first chunk.
func (l *lead) begin(index uint64) {
	if l.begun {
		return
	}
	l.begun, l.base, l.first = true, index, index
	for i := range l.readers {
		l.readers[i].next = index
	}
}

// next returns the index of the chunk that is sent next.
func (l *lead) next() uint64 { return l.first + uint64(len(l.sizes)) }

// slowest returns the first chunk that some reader has not read.
func (l *lead) slowest() uint64 {
	at := l.next()
	for _, r := range l.readers {
		if !r.free {
			at = min(at, r.next)
		}
	}

	return at
}

// fits reports whether a chunk of this size may be sent. One always may when everything before it was read.
func (l *lead) fits(size int) bool {
	at := l.slowest()
	ahead := l.next() - at

	return ahead == 0 || ahead < l.chunks && l.bytesFrom(at)+size <= l.bytes
}

// bytesFrom returns how many bytes the chunks from index at on have.
func (l *lead) bytesFrom(at uint64) int {
	if at >= l.first {
		return l.held
	}

	return l.held + l.total/int(l.next()-l.base)*int(l.first-at)
}

// add notes that a chunk is sent.
func (l *lead) add(size int) {
	l.sizes = append(l.sizes, size)
	l.held += size
	l.total += size
	l.trim()
}

// trim forgets the sizes of what all readers have read.
func (l *lead) trim() {
	at := l.slowest()
	for ; l.first < at; l.first++ {
		l.held -= l.sizes[0]
		l.sizes = l.sizes[1:]
	}
	if len(l.sizes) == 0 {
		l.sizes = nil
	}
}

// hear takes what a reader says and reports whether that changes anything. Only places in this attempt count. They may
// go back: the component's next attempt reads from the beginning.
func (l *lead) hear(h hint, attempt uint32) bool {
	for i := range l.readers {
		if r := &l.readers[i]; r.name == h.reader {
			return l.move(r, h, attempt)
		}
	}

	return false
}

func (l *lead) move(r *assignee, h hint, attempt uint32) bool {
	before := *r
	switch {
	case h.word == hintFree:
		r.free = true
	case h.word == hintAt && l.begun && h.place.Attempt == attempt:
		r.next = min(max(h.place.Index, l.base), l.next())
	}
	if *r == before {
		return false
	}
	l.trim()
	l.relax()

	return true
}

// ask is when a writer that waits asks its readers how far they are.
type ask struct {
	next  time.Time // not before
	wait  time.Duration
	bytes uint64 // of the pace that was asked for last
}

const (
	// reports is how often a reader reports within a window.
	reports = 4
	// maxAsk is how many times less often than at first readers are asked that don't get on.
	maxAsk = 8
)

// due returns the pace to ask for now, for a chunk of this size to fit as soon as it can; or how long to wait first.
func (l *lead) due(size int) (pace, time.Duration) {
	p := pace{chunks: max(l.chunks/reports, 1), bytes: uint64(max(min(l.bytes/reports, l.bytes-size), 1))}
	a := &l.asking
	now := time.Now()
	if left := a.next.Sub(now); left > 0 && p.bytes >= a.bytes {
		return pace{}, left
	}
	a.wait = min(max(2*a.wait, l.every), maxAsk*l.every)
	a.next, a.bytes = now.Add(a.wait), p.bytes

	return p, 0
}

// relax lets readers that get on be asked as often as at first.
func (l *lead) relax() {
	a := &l.asking
	if a.wait > l.every {
		a.next = time.Now().Add(l.every)
	}
	a.wait = 0
}
