package redisbus

import "context"

// lapse makes workers as those of a process that is paused: they renew and take nothing more, but their calls reach the
// server.
func (s *workers) lapse() {
	s.mu.Lock()
	defer s.mu.Unlock()

	for w := range s.all {
		w.stopRenewing()
		w.rest(context.Canceled)
	}
}
