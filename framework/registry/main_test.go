package registry

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// parts runs what a test needs until its end.
type parts struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // that of the test, with an end
	end context.CancelFunc
	all sync.WaitGroup
}

func newParts(t *testing.T) *parts {
	t.Helper()

	p := &parts{t: t}
	p.ctx, p.end = context.WithCancel(t.Context())

	t.Cleanup(p.stop)

	return p
}

func (p *parts) stop() {
	p.end()
	p.all.Wait()
}

// running is a member under test.
type running struct {
	*Member

	leave context.CancelFunc
	over  chan error
}

// member runs a member until the test ends or it is told to leave.
func (p *parts) member(kv bus.KV, cfg MemberConfig) *running {
	p.t.Helper()

	if cfg.Instance.Component == "" {
		cfg.Instance.Component = "llm"
	}

	m, err := NewMember(kv, cfg)
	if err != nil {
		p.t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(p.ctx)
	r := &running{Member: m, leave: cancel, over: make(chan error, 1)}

	p.all.Go(func() { r.over <- m.Run(ctx) })

	return r
}

// ready runs a member and waits until it is listed as ready.
func (p *parts) ready(kv bus.KV, cfg MemberConfig) *running {
	p.t.Helper()

	r := p.member(kv, cfg)
	<-r.Joined()

	if err := r.Become(Ready, ""); err != nil {
		p.t.Fatal(err)
	}

	return r
}

// registry runs a registry that knows who is there.
func (p *parts) registry(kv bus.KV) *Registry {
	p.t.Helper()

	r := New(kv, Config{})
	p.all.Go(func() {
		if err := r.Run(p.ctx); err != nil {
			p.t.Errorf("the registry ended: %v", err)
		}
	})

	if err := r.Wait(p.ctx); err != nil {
		p.t.Fatal(err)
	}

	return r
}

// events passes on what a subscriber is told.
func (p *parts) events(r *Registry) <-chan Event {
	events := make(chan Event, 10_000)

	p.all.Go(func() {
		for e := range r.Events(p.ctx) {
			events <- e
		}
	})

	return events
}

// until receives events up to the first of one kind about an instance.
func until(t *testing.T, events <-chan Event, kind Kind, id string) (before []Event, found Event) {
	t.Helper()

	for e := range events {
		if e.Kind == kind && e.Instance.ID == id {
			return before, e
		}

		before = append(before, e)
	}

	return before, found
}

// untilState receives events up to the first that shows an instance in a state.
func untilState(events <-chan Event, id string, s State) {
	for e := range events {
		if e.Instance.ID == id && e.Instance.State == s {
			return
		}
	}
}

// broken is a store whose watches can be cut and whose calls can be held up.
type broken struct {
	bus.KV

	mu   sync.Mutex
	cuts []context.CancelCauseFunc
	held chan struct{} // nil: calls pass
	down bool
}

var errCut = errors.New("the connection broke")

func (b *broken) cut(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.down = down
	for _, cut := range b.cuts {
		cut(errCut)
	}

	b.cuts = nil
}

func (b *broken) pause() { b.hold(make(chan struct{})) }

func (b *broken) resume() {
	b.mu.Lock()
	defer b.mu.Unlock()

	close(b.held)
	b.held = nil
}

func (b *broken) hold(c chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.held = c
}

func (b *broken) Watch(ctx context.Context, bucket bus.Bucket, prefix string) iter.Seq2[bus.KVEvent, error] {
	return func(yield func(bus.KVEvent, error) bool) {
		ctx, cut := context.WithCancelCause(ctx)
		defer cut(nil)

		b.mu.Lock()
		down := b.down
		b.cuts = append(b.cuts, cut)
		b.mu.Unlock()

		if down {
			yield(bus.KVEvent{}, errCut)

			return
		}

		for e, err := range b.KV.Watch(ctx, bucket, prefix) {
			if !yield(e, err) {
				return
			}
		}

		if errors.Is(context.Cause(ctx), errCut) {
			yield(bus.KVEvent{}, errCut)
		}
	}
}

// Set waits for as long as the process is paused, and tries then, however late it is.
func (b *broken) Set(
	ctx context.Context, bucket bus.Bucket, key string, value []byte, revision uint64, ttl time.Duration,
) (uint64, error) {
	b.mu.Lock()
	held := b.held
	b.mu.Unlock()

	if held != nil {
		<-held
	}

	return b.KV.Set(context.WithoutCancel(ctx), bucket, key, value, revision, ttl)
}

// forget drops everything that a bus holds about instances, as a server that restarts without its data does.
func forget(t *testing.T, kv bus.KV, r *Registry) {
	t.Helper()

	for _, i := range r.Find(Query{}) {
		if err := kv.Delete(t.Context(), bus.Registry, i.Component+"."+i.ID, 0); err != nil {
			t.Fatal(err)
		}
	}
}

func newBus() *membus.Bus { return membus.New(membus.Config{}) }
