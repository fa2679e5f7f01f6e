package natsbus

import (
	"sync"

	"github.com/nats-io/nats.go"
)

const (
	// liveBytes bounds the live frames of all streams that wait for their readers. What comes over it is dropped, to be
	// read from the log instead.
	liveBytes = 64 << 20
	// liveOverhead is what a waiting frame takes beside its bytes.
	liveOverhead = 512
)

// backlog is the live frames that wait to be delivered. Those that are being delivered count.
type backlog struct {
	most int
	wake chan struct{} // holds one token while there may be something

	mu      sync.Mutex
	waiting []*nats.Msg
	dropped map[*nats.Subscription]struct{} // since the last take
	bytes   int                             // of what waits and what was taken
	taken   int                             // of what was taken
}

func newBacklog(most int) *backlog {
	return &backlog{most: most, wake: make(chan struct{}, 1), dropped: map[*nats.Subscription]struct{}{}}
}

// push adds a frame, or notes that it was dropped. One fits where nothing else waits, whatever its size.
func (b *backlog) push(m *nats.Msg) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if size := m.Size() + liveOverhead; b.bytes == 0 || b.bytes+size <= b.most {
		b.waiting = append(b.waiting, m)
		b.bytes += size
	} else {
		b.dropped[m.Sub] = struct{}{}
	}
	b.rouse()
}

// rouse has the backlog looked at.
func (b *backlog) rouse() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take returns what waits, and the subscriptions of which frames were dropped, all of them behind what waits. It exchanges
// the room of the frames that were taken before, which are done.
func (b *backlog) take(done []*nats.Msg) ([]*nats.Msg, []*nats.Subscription) {
	clear(done)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes -= b.taken
	b.taken = b.bytes
	taken := b.waiting
	b.waiting = done[:0]
	dropped := make([]*nats.Subscription, 0, len(b.dropped))
	for sub := range b.dropped {
		dropped = append(dropped, sub)
	}
	clear(b.dropped)

	return taken, dropped
}
