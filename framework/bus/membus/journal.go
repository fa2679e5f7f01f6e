package membus

import (
	"fmt"
	"hash/maphash"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// shard holds the logs of some streams. Lock order: shard, then journal, then follower.
type shard struct {
	mu    sync.RWMutex
	logs  map[bus.StreamID]*journal
	next  atomic.Uint64 // the last position given out
	swept atomic.Int64  // when the shard was last swept, in Unix nanoseconds
}

// journal is the log of one stream.
type journal struct {
	id    bus.StreamID
	bytes *atomic.Int64
	age   time.Duration

	mu        sync.Mutex
	removed   bool // no longer in its shard
	entries   []*bus.Entry
	times     []int64 // when each entry was stored, in Unix nanoseconds
	followers []*follower
}

func (b *Broker) shard(id bus.StreamID) *shard {
	return &b.shards[maphash.Comparable(b.seed, id)%shardCount]
}

// journal returns the log of a stream, or nil when nothing is stored and nobody follows.
func (b *Broker) journal(id bus.StreamID) *journal {
	s := b.shard(id)
	s.mu.RLock()
	defer s.mu.RUnlock()

	return s.logs[id]
}

// with calls do with the locked log of a stream, which it makes when there is none.
func (b *Broker) with(id bus.StreamID, do func(*journal)) {
	for {
		j := b.journal(id)
		if j == nil {
			j = b.create(id)
		}

		j.mu.Lock()
		if !j.removed {
			do(j)
			j.mu.Unlock()

			return
		}
		j.mu.Unlock()
	}
}

func (b *Broker) create(id bus.StreamID) *journal {
	s := b.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()

	if j := s.logs[id]; j != nil {
		return j
	}

	j := &journal{id: id, bytes: &b.bytes, age: b.cfg.MaxAge}
	s.logs[id] = j

	return j
}

// remove forgets a log that is unused.
func (b *Broker) remove(j *journal) {
	s := b.shard(j.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()

	if !j.removed && j.unused() {
		j.removed = true
		delete(s.logs, j.id)
	}
}

// append stores e behind after, which it compares with the log's last entry.
func (b *Broker) append(e, after *bus.Entry) error {
	if after != nil && after.ID != e.ID {
		return fmt.Errorf("after an entry of %s: %w", after.ID, bus.ErrInvalid)
	}

	now, size := time.Now(), entryBytes(&e.Frame)
	if !b.reserve(size, now) {
		return fmt.Errorf("%d bytes in memory: %w", b.cfg.MaxBytes, bus.ErrFull)
	}

	s := b.shard(e.ID)
	stored := false

	b.with(e.ID, func(j *journal) {
		if stored = j.at(after, now); stored {
			e.Position = bus.Position{Minor: s.next.Add(1)}
			j.add(e, now)
		}
	})

	if !stored {
		b.free(size)

		return bus.ErrConflict
	}

	if every := b.cfg.MaxAge / sweepsPerAge; every > 0 && now.UnixNano()-s.swept.Load() > int64(every) {
		b.sweep(s, now)
	}

	return nil
}

// Wipe forgets the log of a stream at once, as a broker does that has lost its data. Who follows it goes on. It is for
// tests of what comes after.
func (b *Broker) Wipe(id bus.StreamID) {
	b.with(id, func(j *journal) { j.drop(len(j.entries)) })
}

// sweep drops what is too old in logs that nobody writes any more.
func (b *Broker) sweep(s *shard, now time.Time) {
	s.swept.Store(now.UnixNano())
	s.mu.Lock()
	defer s.mu.Unlock()

	for id, j := range s.logs {
		j.mu.Lock()
		j.expire(now)

		if j.unused() {
			j.removed = true
			delete(s.logs, id)
		}
		j.mu.Unlock()
	}
}

// at reports whether after is the log's last entry.
func (j *journal) at(after *bus.Entry, now time.Time) bool {
	j.expire(now)

	n := len(j.entries)
	if n == 0 || after == nil {
		return n == 0 && after == nil
	}

	return j.entries[n-1].Position == after.Position
}

func (j *journal) add(e *bus.Entry, now time.Time) {
	j.entries = append(j.entries, e)
	j.times = append(j.times, now.UnixNano())

	for _, f := range j.followers {
		f.push(e)
	}
}

// expire drops entries that are too old.
func (j *journal) expire(now time.Time) {
	if j.age < 0 {
		return
	}

	oldest, n := now.Add(-j.age).UnixNano(), 0
	for n < len(j.times) && j.times[n] <= oldest {
		n++
	}

	j.drop(n)
}

// drop drops the first n entries. It keeps their place in the arrays until these grow, because views share it.
func (j *journal) drop(n int) {
	if n == 0 {
		return
	}

	for _, e := range j.entries[:n] {
		j.bytes.Add(-entryBytes(&e.Frame))
	}

	if n == len(j.times) {
		j.entries, j.times = nil, nil

		return
	}

	j.entries, j.times = j.entries[n:], j.times[n:]
}

func (j *journal) unused() bool { return len(j.entries) == 0 && len(j.followers) == 0 }

func (j *journal) last(now time.Time) *bus.Entry {
	j.mu.Lock()
	defer j.mu.Unlock()

	j.expire(now)

	if n := len(j.entries); n > 0 {
		return j.entries[n-1]
	}

	return nil
}

// view returns the entries up to last that a reader standing at from has not seen.
func (j *journal) view(last *bus.Entry, from bus.Cursor, now time.Time) ([]*bus.Entry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()

	j.expire(now)

	end := sort.Search(len(j.entries), func(i int) bool {
		return j.entries[i].Position.Minor >= last.Position.Minor
	})
	if end == len(j.entries) || j.entries[end].Position != last.Position {
		return nil, fmt.Errorf("entry %d of %s: %w", last.Position.Minor, last.ID, bus.ErrNotFound)
	}

	entries := j.entries[:end+1]

	return entries[min(start(entries, from), end):], nil
}

// start returns the index of the first entry that a reader standing at from may not have seen. Ends of entries grow
// with their place in the log. An attempt that begins behind from's index leaves what earlier attempts wrote before
// it visible, so the reader may need that, too.
func start(entries []*bus.Entry, from bus.Cursor) int {
	for {
		i := sort.Search(len(entries), func(i int) bool { return !entries[i].End().Before(from) })
		if i == 0 || i == len(entries) || !entries[i].Begin || entries[i].First <= from.Index {
			return i
		}

		before := entries[i-1].Attempt
		if before >= from.Attempt {
			return i
		}

		from.Attempt = before
	}
}

func entryBytes(f *bus.Frame) int64 {
	return int64(itemBytes + len(f.Body) + 8*len(f.Lengths) + headerBytes(f))
}
