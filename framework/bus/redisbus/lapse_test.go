package redisbus

import "context"

// lapse makes workers as those of a process that is paused: they renew and take nothing more, but their calls reach the
// server.
func (b *Bus) lapse() {
	b.workers.Each(func(w *worker) {
		w.stopRenewing()
		w.rest(context.Canceled)
	})
}
