package breaker

import (
	"maps"
	"slices"
	"sync"
)

// Set holds the breakers of many targets, all of one configuration. All methods may be called concurrently.
type Set struct {
	cfg Config

	mu       sync.Mutex
	breakers map[string]*Breaker
}

// NewSet returns an empty set.
func NewSet(cfg Config) *Set { return &Set{cfg: cfg, breakers: map[string]*Breaker{}} }

// For returns the target's breaker, which is made by the first call.
func (s *Set) For(name string) *Breaker {
	s.mu.Lock()
	defer s.mu.Unlock()

	b := s.breakers[name]
	if b == nil {
		b = New(name, s.cfg)
		s.breakers[name] = b
	}

	return b
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
