package crew

import (
	"cmp"
	"context"
	"sync"
)

// DefaultLimit is how many mailboxes a worker has at once when nothing else is said.
const DefaultLimit = 64

// Room is a worker's for claims. All methods may be called concurrently.
type Room struct {
	limit int

	mu      sync.Mutex
	taken   int
	resting int // claims that have given their room to others for a while
	closed  bool
	changed chan struct{} // closed when a claim leaves; nil while nobody waits
}

// NewRoom returns room for a number of claims; 0 or less is for [DefaultLimit].
func NewRoom(limit int) *Room { return &Room{limit: cmp.Or(max(limit, 0), DefaultLimit)} }

// Await waits until there is room and returns for how many claims, or ctx's error.
func (r *Room) Await(ctx context.Context) (int, error) {
	var free int

	found := r.await(ctx.Done(), func() bool {
		free = r.limit - r.taken

		return free > 0
	})
	if !found {
		return 0, ctx.Err() //nolint:wrapcheck // the end of a context needs no explanation
	}

	return free, nil
}

// Enter takes the room for one claim if there is any. Who got it must Leave.
func (r *Room) Enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()

	if r.closed || r.taken >= r.limit {
		return false
	}

	r.taken++

	return true
}

// Leave gives back the room of a claim.
func (r *Room) Leave() {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.taken--
	r.signal()
}

// signal wakes everyone in await, with the lock held.
func (r *Room) signal() {
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// Full reports whether there is no room.
func (r *Room) Full() bool {
	r.mu.Lock()
	defer r.mu.Unlock()

	return r.taken >= r.limit
}

// Close lets nobody enter any more and waits until all have left, those that rest included.
func (r *Room) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()

	r.await(nil, func() bool { return r.taken+r.resting == 0 })
}

// await waits until ready, which is asked with the lock held, and reports false when done was closed before.
func (r *Room) await(done <-chan struct{}, ready func() bool) bool {
	for {
		r.mu.Lock()

		if ready() {
			r.mu.Unlock()

			return true
		}

		if r.changed == nil {
			r.changed = make(chan struct{})
		}

		changed := r.changed
		r.mu.Unlock()

		select {
		case <-changed:
		case <-done:
			return false
		}
	}
}
