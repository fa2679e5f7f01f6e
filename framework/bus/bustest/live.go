package bustest

import (
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// live is one subscription behind faults. Its lock keeps deliveries apart from each other and from stop.
type live struct {
	bus     *FaultyBus
	deliver func(*bus.Entry)

	mu      sync.Mutex
	stopped bool
	held    *bus.Entry // comes behind the next one
}

// receive passes an entry on, or does to it what chance wants.
func (l *live) receive(e *bus.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()

	if l.stopped {
		return
	}

	if e == nil {
		l.deliver(nil)

		return
	}

	cfg := &l.bus.cfg
	if l.bus.chance(cfg.Missed) {
		l.deliver(nil)
	}

	switch {
	case l.bus.chance(cfg.Drop):
	case l.bus.chance(cfg.Delay):
		l.later(e)
	case l.held == nil && l.bus.chance(cfg.Reorder):
		l.held = e
		time.AfterFunc(l.bus.cfg.MaxDelay, l.flush)
	default:
		l.deliver(e)

		if l.bus.chance(cfg.Duplicate) {
			l.later(e)
		}

		l.release()
	}
}

// later delivers an entry after a while, unless it is stopped before.
func (l *live) later(e *bus.Entry) {
	time.AfterFunc(l.bus.delay(), func() {
		l.mu.Lock()
		defer l.mu.Unlock()

		if !l.stopped {
			l.deliver(e)
		}
	})
}

func (l *live) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()

	if !l.stopped {
		l.release()
	}
}

// release delivers the entry that was held back.
func (l *live) release() {
	if e := l.held; e != nil {
		l.held = nil
		l.deliver(e)
	}
}

func (l *live) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()

	l.stopped = true
}
