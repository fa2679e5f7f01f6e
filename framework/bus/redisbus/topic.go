package redisbus

import (
	"slices"
	"sync"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// message is one publication. All subscriptions of a channel get the same.
type message struct {
	payload string
	decoded bool
	entry   *bus.Entry // of a live frame that was decoded
}

// topic is the subscriptions of one channel. The hub's lock guards lost and opened; it is taken before the topic's.
type topic struct {
	channel string
	lost    bool          // something may have been missed since it was confirmed
	opened  chan struct{} // closed when nobody need wait for the confirmation

	mu   sync.Mutex // held while delivering
	subs []*subscription
}

type subscription struct {
	deliver func(*message)
	missed  func()
}

// open lets those go on who wait for the confirmation. The hub's lock is held.
func (t *topic) open() {
	select {
	case <-t.opened:
	default:
		close(t.opened)
	}
}

func (t *topic) add(s *subscription) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.subs = append(t.subs, s)
}

// remove ends a subscription and returns how many are left. No delivery to it is under way when it returns.
func (t *topic) remove(s *subscription) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.subs = slices.DeleteFunc(t.subs, func(other *subscription) bool { return other == s })

	return len(t.subs)
}

func (t *topic) deliver(m *message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.subs {
		s.deliver(m)
	}
}

func (t *topic) miss() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.subs {
		if s.missed != nil {
			s.missed()
		}
	}
}
