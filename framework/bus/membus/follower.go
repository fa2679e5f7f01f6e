package membus

import (
	"slices"
	"sync"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// idleQueue is how many entries' room a follower keeps while it has nothing to deliver.
const idleQueue = 32

// follower is one subscription to a stream. Its goroutine lives only while the queue holds something.
type follower struct {
	broker  *Broker
	id      bus.StreamID
	deliver func(*bus.Entry)
	limit   int

	mu      sync.Mutex
	queue   []*bus.Entry // a nil entry says that some were dropped
	spare   []*bus.Entry
	running bool
	stopped bool
	wg      sync.WaitGroup
}

// push queues an entry; over the limit it leaves one nil entry in place of all that follow.
func (f *follower) push(e *bus.Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()

	if f.stopped {
		return
	}

	switch n := len(f.queue); {
	case n < f.limit:
		f.queue = append(f.queue, e)
	case n == f.limit:
		f.queue = append(f.queue, nil)
	}

	if !f.running {
		f.running = true
		f.wg.Go(f.drain)
	}
}

func (f *follower) drain() {
	var batch []*bus.Entry

	for f.take(&batch) {
		for _, e := range batch {
			if f.isStopped() {
				break
			}

			f.deliver(e)
		}
	}
}

// take exchanges the batch that was delivered for what was queued meanwhile; when there is nothing the drain is over.
func (f *follower) take(batch *[]*bus.Entry) bool {
	f.mu.Lock()
	defer f.mu.Unlock()

	clear(*batch)

	if f.stopped || len(f.queue) == 0 {
		f.running = false
		f.spare = reusable(*batch)
		f.queue = reusable(f.queue)

		return false
	}

	if *batch == nil {
		*batch = f.spare
	}

	*batch, f.queue = f.queue, (*batch)[:0]

	return true
}

// reusable keeps small arrays only, so that many followers that were busy once hold little.
func reusable(q []*bus.Entry) []*bus.Entry {
	if cap(q) > idleQueue {
		return nil
	}

	return q[:0]
}

func (f *follower) isStopped() bool {
	f.mu.Lock()
	defer f.mu.Unlock()

	return f.stopped
}

// stop ends deliveries and waits for one in progress. It is idempotent.
func (f *follower) stop() {
	f.mu.Lock()
	f.stopped = true
	f.queue, f.spare = nil, nil
	f.mu.Unlock()

	f.broker.unfollow(f)
	f.wg.Wait()
}

func (b *Broker) follow(f *follower) {
	b.with(f.id, func(j *journal) {
		if !f.isStopped() { // by the bus being closed meanwhile
			j.followers = append(j.followers, f)
		}
	})
}

func (b *Broker) unfollow(f *follower) {
	j := b.journal(f.id)
	if j == nil {
		return
	}

	j.mu.Lock()
	if i := slices.Index(j.followers, f); i >= 0 {
		j.followers = slices.Delete(j.followers, i, i+1)
	}
	empty := j.unused()
	j.mu.Unlock()

	if empty {
		b.remove(j)
	}
}
