package stream

import (
	"context"
	"crypto/rand"
	"errors"
	"math"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/telemetry"
)

// Config bounds what streams use. The zero value works; zero fields take their defaults.
type Config struct {
	// MaxChunk is the largest chunk in bytes that Send accepts. Chunks that are larger than what the bus takes at once
	// travel in parts. Defaults to 16 MiB.
	MaxChunk int
	// WindowChunks is how many chunks a writer holds that are not stored yet, before Send blocks. Defaults to 1000.
	WindowChunks int
	// WindowBytes is how many bytes a writer holds that are not stored yet, before Send blocks. A chunk that is larger
	// is accepted when the window is empty. Defaults to 4 MiB.
	WindowBytes int
	// AheadChunks and AheadBytes are how far a writer may be ahead of the slowest reader that its stream is assigned to
	// (see WriterConfig.Readers), before Send blocks. A chunk that is larger is accepted when everything before it was
	// read. Default to 1000 and 4 MiB; -1 sets no bound.
	AheadChunks int
	AheadBytes  int
	// TotalBytes is how many bytes all writers of a store hold together that are not stored yet, before Send blocks. A
	// writer that holds nothing may always send one chunk. Defaults to 100 MiB; -1 sets no bound.
	TotalBytes int
	// FrameBytes is how many bytes of chunks go together into one frame. A larger chunk has a frame of its own.
	// Defaults to 128 KiB, and never exceeds what the bus takes.
	FrameBytes int
	// InFlight is how many appends of all writers of a store are in flight at once. Defaults to 128.
	InFlight int
	// GiveUp is how long a writer tries to store one frame before it is broken, and how long a reader tries to reach
	// the log before Next fails. Defaults to 30 s.
	GiveUp time.Duration
	// LiveEntries and LiveBytes bound what a reader queues that its caller has not asked for. Beyond, the queue is
	// dropped and read again from the log. Default to 64 entries and 1 MiB.
	LiveEntries int
	LiveBytes   int
	// Recheck is how soon a waiting reader asks the log whether it missed something. The interval doubles while
	// nothing comes, up to RecheckMax. Default to 1 s and 60 s.
	Recheck    time.Duration
	RecheckMax time.Duration
	// Tracer makes a span for each writer and for each stream that a [Follower] reads. Defaults to none.
	Tracer *telemetry.Tracer
}

const (
	kib = 1 << 10
	mib = 1 << 20

	// defaultMaxBody is assumed of a bus that does not say what it takes.
	defaultMaxBody = 512 * kib
	// maxFrameChunks bounds the chunk lengths that a frame's headers must hold.
	maxFrameChunks = 1000
)

// withDefaults returns the configuration with every field set.
func (c Config) withDefaults(maxBody int) Config {
	def(&c.MaxChunk, 16*mib)
	def(&c.WindowChunks, 1000)
	def(&c.WindowBytes, 4*mib)
	bound(&c.AheadChunks, 1000)
	bound(&c.AheadBytes, 4*mib)
	bound(&c.TotalBytes, 100*mib)
	def(&c.FrameBytes, 128*kib)
	def(&c.InFlight, 128)
	def(&c.GiveUp, 30*time.Second)
	def(&c.LiveEntries, 64)
	def(&c.LiveBytes, mib)
	def(&c.Recheck, time.Second)
	def(&c.RecheckMax, time.Minute)
	c.FrameBytes = min(c.FrameBytes, maxBody)

	return c
}

// def sets a field that has no usable value.
func def[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// bound sets a field that has no value, and makes a negative one no bound.
func bound(field *int, value int) {
	switch {
	case *field == 0:
		*field = value
	case *field < 0:
		*field = math.MaxInt
	}
}

// Store opens the writers and readers of the streams of one bus. All methods may be called concurrently.
type Store struct {
	log        bus.Log
	starter    bus.Starter // nil if the bus has none
	signals    bus.Signals // nil if the bus has none
	cfg        Config
	maxBody    int
	slots      slots // one for each append in flight
	closing    chan struct{}
	held       atomic.Int64 // bytes that all writers hold
	replicated bool
	doubtFor   time.Duration // how long the log may say what can't be true before it is believed

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup // what flushes, and what says farewells
	shared  map[bus.StreamID]*sharedLock
	listed  map[string]struct{} // sessions that are known to have a timeline
}

// NewStore returns a store on a bus's log; info is what the bus says of itself. There should be one for each bus, so
// that its bounds hold. Assigned readers need a log that is a bus.Signals, too, as every bus is.
func NewStore(log bus.Log, info bus.Info, cfg Config) *Store {
	def(&info.MaxBody, defaultMaxBody)
	cfg = cfg.withDefaults(info.MaxBody)
	cfg.Tracer = cfg.Tracer.On(info.Kind)
	signals, _ := log.(bus.Signals)
	starter, _ := log.(bus.Starter)
	s := &Store{
		log:      log,
		starter:  starter,
		signals:  signals,
		cfg:      cfg,
		maxBody:  info.MaxBody,
		slots:    slots{free: cfg.InFlight},
		closing:  make(chan struct{}),
		shared:   make(map[bus.StreamID]*sharedLock),
		listed:   make(map[string]struct{}),
		doubtFor: doubtFor,
	}
	if info.Durability == bus.Fast || info.Durability == bus.Replicated {
		s.replicated, s.doubtFor = true, doubtReplicated
	}

	return s
}

// Replicated reports whether the bus has replicas, so that a server that is cut off may answer from the past for a while.
func (s *Store) Replicated() bool { return s.replicated }

// bodyLimit returns the largest body that the bus takes now, which may be less than at the beginning.
func (s *Store) bodyLimit() int {
	if b, ok := s.log.(interface{ Info() bus.Info }); ok {
		if n := b.Info().MaxBody; n > 0 {
			return n
		}
	}

	return s.maxBody
}

// Close ends the store's work and waits for it: appends in flight finish their current try, and every writer and
// reader fails with [ErrClosed]. Chunks that were not flushed are lost; close or abandon the writers first. It is
// idempotent and does not close the bus.
func (s *Store) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.closing)
	}
	s.mu.Unlock()
	s.running.Wait()
}

// spawn runs f in a goroutine that Close waits for, unless the store is closed.
func (s *Store) spawn(f func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.running.Go(f)

	return nil
}

// hold makes Close wait until running is done, unless the store is closed.
func (s *Store) hold() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.running.Add(1)

	return nil
}

// last reads the last entry of a log and rides over passing failures.
func (s *Store) last(ctx context.Context, id bus.StreamID) (e *bus.Entry, err error) {
	err = s.insistOn(ctx, func() error {
		e, err = s.log.Last(ctx, id)

		return err
	})

	return e, err
}

// insistOn repeats a read while it fails for a passing reason, but not for long.
func (s *Store) insistOn(ctx context.Context, read func() error) error {
	for begin, try := time.Now(), 0; ; try++ {
		err := read()
		if err == nil || !passing(ctx, err) || time.Since(begin) > s.cfg.GiveUp {
			return err
		}
		if err := s.pause(ctx, backoff(try)); err != nil {
			return err
		}
	}
}

// pause waits for d, the end of ctx or the store's.
func (s *Store) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.closing:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// passing reports whether the same call may succeed a little later. A deadline that is not ctx's own was a try's.
func passing(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}

	return errors.Is(err, bus.ErrUnknown) || errors.Is(err, bus.ErrBusy) || errors.Is(err, bus.ErrFull) ||
		errors.Is(err, context.DeadlineExceeded)
}

// jitter returns 2 to 10 ms, so that writers that collided don't meet again.
func jitter() time.Duration {
	const least, most = 2 * time.Millisecond, 10 * time.Millisecond

	return least + mathrand.N(most-least)
}

// backoff returns the wait before try+1: a jitter that grows to a third of a second.
func backoff(try int) time.Duration {
	const doublings = 5

	return jitter() << min(try, doublings)
}

// randomID returns an id that no other writer has.
func randomID() string {
	const chars = 12

	return rand.Text()[:chars]
}
