package breaker

import (
	"maps"
	"slices"
	"sync"
)

// Set holds the breakers of many targets, all of one configuration. All methods may be called concurrently.
type Set struct {
	cfg Config

	forcing sync.Mutex // one Force after the other

	mu       sync.Mutex
	breakers map[string]*Breaker
	orders   map[string]order // by target; none where the mode is Auto
}

// order is an operator's word about a target, whose breaker there need not be yet.
type order struct {
	mode   Mode
	reason string
}

// NewSet returns an empty set.
func NewSet(cfg Config) *Set {
	return &Set{cfg: cfg, breakers: map[string]*Breaker{}, orders: map[string]order{}}
}

// For returns the target's breaker, which is made by the first call.
func (s *Set) For(name string) *Breaker {
	s.mu.Lock()
	defer s.mu.Unlock()

	b := s.breakers[name]
	if b == nil {
		b = New(name, s.cfg)
		if o, forced := s.orders[name]; forced {
			b.mode, b.reason = o.mode, o.reason
		}

		s.breakers[name] = b
	}

	return b
}

// Force sets who decides about a target's breaker, see [Breaker.Force], also about one that is made later or again, until
// it is set to Auto. Config.OnChange must not call it.
func (s *Set) Force(name string, m Mode, reason string) {
	s.forcing.Lock()
	defer s.forcing.Unlock()

	s.mu.Lock()
	if m == Auto {
		delete(s.orders, name)
	} else {
		s.orders[name] = order{m, reason}
	}

	b := s.breakers[name]
	s.mu.Unlock()

	if b != nil {
		b.Force(m, reason)
	}
}

// Forget drops a target that is gone for good. Calls under way keep its breaker.
func (s *Set) Forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()

	delete(s.breakers, name)
}

// Hint gives a target's breaker a hint, see [Breaker.Hint]; a target that nobody here has called has none.
func (s *Set) Hint(name string, remote State) {
	s.mu.Lock()
	b := s.breakers[name]
	s.mu.Unlock()

	if b != nil {
		b.Hint(remote)
	}
}

// Statuses returns the status of each breaker, by name.
func (s *Set) Statuses() []Status {
	s.mu.Lock()
	names, breakers := slices.Sorted(maps.Keys(s.breakers)), maps.Clone(s.breakers)
	s.mu.Unlock()

	out := make([]Status, 0, len(names))
	for _, name := range names {
		out = append(out, breakers[name].Status())
	}

	return out
}
