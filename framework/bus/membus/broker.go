package membus

import (
	"cmp"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Config bounds a broker. The zero value works.
type Config struct {
	// MaxBody is the largest body of a frame or letter and the largest value of a key, in bytes; the reason, meta and
	// trace of a frame together may be as large again. Defaults to 1 MiB.
	MaxBody int
	// MaxAge is how long an entry of a log is kept. Defaults to 24 h; a negative age keeps entries for ever.
	MaxAge time.Duration
	// MaxBytes is how much all logs, mailboxes and keys may hold together, counted with 256 bytes per item on top of
	// its content. When that much is held, whatever would add to it fails with [bus.ErrFull]. Defaults to 1 GiB; a
	// negative number sets no bound.
	MaxBytes int64
	// Queue is how many entries may wait for one follower of a stream before it is told that it missed some.
	// Defaults to 1024.
	Queue int
}

const (
	shardCount = 64
	itemBytes  = 256
	// sweepsPerAge is how often within MaxAge a shard looks for logs that nobody touches any more.
	sweepsPerAge = 8
)

func (c Config) withDefaults() Config {
	c.MaxBody = cmp.Or(c.MaxBody, 1<<20)
	c.MaxAge = cmp.Or(c.MaxAge, 24*time.Hour)
	c.MaxBytes = cmp.Or(c.MaxBytes, 1<<30)
	c.Queue = cmp.Or(c.Queue, 1024)

	return c
}

// Broker holds the data that buses share. It needs no closing: it runs nothing and is garbage once its last bus is.
// All methods may be called concurrently.
type Broker struct {
	cfg    Config
	seed   maphash.Seed
	shards [shardCount]shard
	bytes  atomic.Int64
	dead   graveyard

	signals   signals
	endpoints endpoints

	mu         sync.Mutex
	components map[string]*component
	buckets    map[bus.Bucket]*bucket
}

// NewBroker returns an empty broker.
func NewBroker(cfg Config) *Broker {
	b := &Broker{
		cfg:        cfg.withDefaults(),
		seed:       maphash.MakeSeed(),
		components: make(map[string]*component),
		buckets:    make(map[bus.Bucket]*bucket),
	}
	for i := range b.shards {
		b.shards[i].logs = make(map[bus.StreamID]*journal)
	}

	return b
}

// Open returns a connection to the broker. Buses of one broker share everything but their followers, workers and
// claims, as processes on one server do.
func (b *Broker) Open() *Bus {
	opened := &Bus{
		broker: b, done: make(chan struct{}), servers: make(map[bus.Endpoint]*server),
		followers: make(map[*follower]struct{}), listeners: make(map[*listener]struct{}),
	}
	opened.link.Up()

	return opened
}

// New returns the only bus of a broker of its own.
func New(cfg Config) *Bus { return NewBroker(cfg).Open() }

// reserve accounts for n more bytes, or returns false when they would exceed the bound.
func (b *Broker) reserve(n int64, now time.Time) bool {
	if b.bytes.Add(n) <= b.cfg.MaxBytes || b.cfg.MaxBytes < 0 {
		return true
	}

	for i := range b.shards {
		b.sweep(&b.shards[i], now)
	}

	if b.bytes.Load() <= b.cfg.MaxBytes {
		return true
	}

	b.bytes.Add(-n)

	return false
}

func (b *Broker) free(n int64) { b.bytes.Add(-n) }
