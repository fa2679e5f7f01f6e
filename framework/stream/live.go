package stream

import (
	"sync"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// live is the part of a reader that the bus reaches from other goroutines: the queue of entries that came and were not
// asked for.
type live struct {
	cfg  *Config
	wake chan struct{} // holds one element when there is something to look at

	mu     sync.Mutex
	queue  []*bus.Entry
	bytes  int
	behind bool // the log must be asked
	missed bool // entries may have been missed since the log was asked last
	closed bool
}

// init prepares the queue. A new reader is behind: it has not looked at the log.
func (l *live) init(cfg *Config) {
	l.cfg = cfg
	l.wake = make(chan struct{}, 1)
	l.behind = true
}

// deliver takes a live entry from the bus, or nil when entries may have been missed. When the caller is too slow, the
// queue is dropped: the log has it all, and nobody else waits for this reader.
func (r *Reader) deliver(e *bus.Entry) {
	if e != nil && e.ID != r.id {
		return
	}
	r.mu.Lock()
	switch {
	case r.closed:
		r.mu.Unlock()

		return
	case e == nil:
		r.behind, r.missed = true, true
	case r.behind:
		r.queue, r.bytes = append(r.queue[:0], e), len(e.Body) // the log is asked anyway, and must reach this one
	case len(r.queue) >= r.cfg.LiveEntries || r.bytes+len(e.Body) > r.cfg.LiveBytes && len(r.queue) > 0:
		r.queue, r.bytes, r.behind, r.missed = nil, 0, true, true
	default:
		r.queue = append(r.queue, e)
		r.bytes += len(e.Body)
	}
	r.mu.Unlock()
	r.rouse()
	if r.overhear != nil && e != nil {
		r.overhear(e)
	}
}

// rouse wakes the caller if it waits.
func (l *live) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// take returns the next live entry if there is one, and whether the log must be asked first.
func (l *live) take() (e *bus.Entry, behind bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, false, ErrClosed
	}
	behind, l.behind = l.behind, false
	if behind || len(l.queue) == 0 {
		return nil, behind, nil
	}
	e = l.queue[0]
	l.queue[0] = nil
	l.queue = l.queue[1:]
	l.bytes -= len(e.Body)
	if len(l.queue) == 0 {
		l.queue = nil
	}

	return e, false, nil
}

// fallBehind notes that the log must be asked.
func (l *live) fallBehind() {
	l.mu.Lock()
	l.behind = true
	l.mu.Unlock()
}

// hasMissed reports whether entries may have been missed since it was asked last.
func (l *live) hasMissed() (missed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	missed, l.missed = l.missed, false

	return missed
}

// isBehind reports whether the log has to be asked.
func (l *live) isBehind() bool {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.behind
}

// close makes take fail.
func (l *live) close() {
	l.mu.Lock()
	l.closed = true
	l.queue, l.bytes = nil, 0
	l.mu.Unlock()
	l.rouse()
}
