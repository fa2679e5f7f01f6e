package bustest

import (
	"cmp"
	"context"
	"iter"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// FaultConfig says how often which fault happens: each field is a probability from 0 to 1 unless it says otherwise.
// The zero value injects none by itself.
type FaultConfig struct {
	// Seed makes the choices repeatable as far as the callers' order is.
	Seed uint64
	// Stored is for calls that store something: it is stored, but reported as [bus.ErrUnknown].
	Stored float64
	// Unstored is for calls that store something: it is not stored and reported as [bus.ErrUnknown].
	Unstored float64
	// Late is for appends: it is reported as [bus.ErrUnknown] and tried only up to MaxDelay later, when the writer has
	// gone on.
	Late float64
	// Busy is for appends: it is not stored and reported as [bus.ErrBusy].
	Busy float64
	// Unread is for reads of the log: they fail with [bus.ErrUnknown], [bus.Log].Read after some of its entries.
	Unread float64
	// Drop is for live deliveries and signals: they are lost without a trace. It is for the requests of calls, too, and
	// for their replies, whose loss ends the call with [bus.ErrInterrupted].
	Drop float64
	// Duplicate is for live deliveries and signals: they come again up to MaxDelay later.
	Duplicate float64
	// Reorder is for live deliveries and signals: they come behind the next one, or after MaxDelay when none follows.
	Reorder float64
	// Delay is for live deliveries, signals, requests and replies: they come up to MaxDelay later.
	Delay float64
	// Missed is for live deliveries: a nil entry comes before them although nothing is missing.
	Missed float64
	// MaxDelay bounds all delays. Defaults to 5 ms.
	MaxDelay time.Duration
}

// Op names a call of the port for [FaultyBus.FailNext].
type Op string

// The calls that can be made to fail.
const (
	OpAppend Op = "append"
	OpLast   Op = "last"
	OpRead   Op = "read"
	OpFollow Op = "follow"
	OpPost   Op = "post"
	OpGet    Op = "get"
	OpSet    Op = "set"
	OpDelete Op = "delete"
)

// FaultyBus is a bus behind faults; see [Faulty].
type FaultyBus struct {
	bus.Bus

	cfg  FaultConfig
	late sync.WaitGroup
	done chan struct{}

	mu      sync.Mutex
	closed  bool
	rnd     *rand.Rand
	scripts map[Op][]failure
}

var (
	_ bus.Bus     = (*FaultyBus)(nil)
	_ bus.Starter = (*FaultyBus)(nil)
)

type failure struct {
	err    error
	stored bool
}

// Faulty puts faults in front of a bus. Everything it does a real bus may do, so what is correct on the port alone is
// correct behind it. Claims and watches are those of the bus itself. Closing it closes the bus.
func Faulty(b bus.Bus, cfg FaultConfig) *FaultyBus {
	cfg.MaxDelay = cmp.Or(cfg.MaxDelay, 5*time.Millisecond)

	return &FaultyBus{
		Bus: b, cfg: cfg, done: make(chan struct{}), scripts: make(map[Op][]failure),
		rnd: rand.New(rand.NewPCG(cfg.Seed, 2)),
	}
}

// Unwrap returns the bus behind the faults.
func (b *FaultyBus) Unwrap() bus.Bus { return b.Bus }

// FailNext makes the next call of op fail with err, once, before any fault by chance; several add up in order. stored
// says whether the call takes effect all the same. The calls that only read never reach the bus when they fail.
func (b *FaultyBus) FailNext(op Op, err error, stored bool) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.scripts[op] = append(b.scripts[op], failure{err: err, stored: stored})
}

// Close implements [bus.Bus]. It waits for late appends, which it hurries.
func (b *FaultyBus) Close(ctx context.Context) error {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.done)
	}
	b.mu.Unlock()

	b.late.Wait()

	return b.Bus.Close(ctx)
}

// Append implements [bus.Log].
func (b *FaultyBus) Append(ctx context.Context, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	if !b.scripted(OpAppend) {
		switch {
		case b.chance(b.cfg.Busy):
			return nil, bus.ErrBusy
		case b.chance(b.cfg.Late) && b.appendLate(ctx, copyFrame(f), after):
			return nil, bus.ErrUnknown
		}
	}

	return store1(b, OpAppend, func() (*bus.Entry, error) { return b.Bus.Append(ctx, f, after) })
}

// Start implements [bus.Starter] on every bus: it is an Append that nobody waits for.
func (b *FaultyBus) Start(f *bus.Frame, after *bus.Entry, done func(*bus.Entry, error)) error {
	b.mu.Lock()
	defer b.mu.Unlock()

	if b.closed {
		return bus.ErrClosed
	}

	b.late.Go(func() { done(b.Append(context.Background(), f, after)) }) //nolint:forbidigo // it is nobody's any more

	return nil
}

// Last implements [bus.Log].
func (b *FaultyBus) Last(ctx context.Context, id bus.StreamID) (*bus.Entry, error) {
	if err := b.unread(OpLast); err != nil {
		return nil, err
	}

	return b.Bus.Last(ctx, id)
}

// Read implements [bus.Log].
func (b *FaultyBus) Read(ctx context.Context, last *bus.Entry, from bus.Cursor) iter.Seq2[*bus.Entry, error] {
	return func(yield func(*bus.Entry, error) bool) {
		for e, err := range b.Bus.Read(ctx, last, from) {
			if fault := b.unread(OpRead); fault != nil {
				yield(nil, fault)

				return
			}

			if !yield(e, err) {
				return
			}
		}
	}
}

// Follow implements [bus.Log].
func (b *FaultyBus) Follow(ctx context.Context, id bus.StreamID, deliver func(*bus.Entry)) (func(), error) {
	if f, ok := b.script(OpFollow); ok {
		return nil, f.err
	}

	l := &live{bus: b, deliver: deliver}

	stop, err := b.Bus.Follow(ctx, id, l.receive)
	if err != nil {
		return nil, err
	}

	return func() {
		stop()
		l.stop()
	}, nil
}

// Post implements [bus.Mailbox].
func (b *FaultyBus) Post(ctx context.Context, l *bus.Letter) error {
	_, err := store1(b, OpPost, func() (struct{}, error) { return struct{}{}, b.Bus.Post(ctx, l) })

	return err
}

// Get implements [bus.KV].
func (b *FaultyBus) Get(ctx context.Context, name bus.Bucket, key string) (bus.KVEntry, error) {
	if f, ok := b.script(OpGet); ok {
		return bus.KVEntry{}, f.err
	}

	return b.Bus.Get(ctx, name, key)
}

// Set implements [bus.KV].
func (b *FaultyBus) Set(
	ctx context.Context, name bus.Bucket, key string, value []byte, revision uint64, ttl time.Duration,
) (uint64, error) {
	return store1(b, OpSet, func() (uint64, error) { return b.Bus.Set(ctx, name, key, value, revision, ttl) })
}

// Renew implements [bus.KV].
func (b *FaultyBus) Renew(ctx context.Context, name bus.Bucket, key string, ttl time.Duration) error {
	_, err := store1(b, OpSet, func() (struct{}, error) { return struct{}{}, b.Bus.Renew(ctx, name, key, ttl) })

	return err
}

// Delete implements [bus.KV].
func (b *FaultyBus) Delete(ctx context.Context, name bus.Bucket, key string, revision uint64) error {
	_, err := store1(b, OpDelete, func() (struct{}, error) {
		return struct{}{}, b.Bus.Delete(ctx, name, key, revision)
	})

	return err
}
