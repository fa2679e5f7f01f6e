package stream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/bustest"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/internal/history"
)

// scenario is one history of a stream: attempts one after the other, zombies that wake up later, readers that come
// at any time and leave at any event, on a bus with faults.
type scenario struct {
	Faults   bustest.FaultConfig
	Stale    float64 // how often a read of the last entry is answered from the past
	Started  bool    // appends can be begun without waiting
	Attempts []attempt
	Readers  []joiner
	Config   stream.Config
	MaxBody  int
}

// attempt is what one writer does before it dies, and after.
type attempt struct {
	Policy stream.Policy
	Keep   int   // how many chunks it rewinds to where it resumes; negative: all
	Chunks []int // lengths; a negative one flushes
	Fate   fate
	Late   []int         // what a zombie sends after its successor was opened
	Delay  time.Duration // how long a zombie sleeps
}

type fate int

const (
	abandons fate = iota
	sleeps        // becomes a zombie
	stops         // is abandoned with chunks in flight
)

// joiner is a reader that joins after a while and opens a new one at the cursor after every few events.
type joiner struct {
	Delay  time.Duration
	Resume int // 0: never
}

func drawScenario(t *rapid.T, unit time.Duration) scenario {
	chance := func(label string, most float64) float64 {
		if !rapid.Bool().Draw(t, label+"?") {
			return 0
		}

		return rapid.Float64Range(0, most).Draw(t, label)
	}
	delay := rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.IntRange(0, 20).Draw(t, "delay")) * unit
	})
	sizes := rapid.SliceOfN(rapid.IntRange(-1, 90), 0, 30)
	return scenario{
		Faults: bustest.FaultConfig{
			Seed:   rapid.Uint64().Draw(t, "seed"),
			Stored: chance("stored", 0.3), Unstored: chance("unstored", 0.3), Late: chance("late", 0.2),
			Busy: chance("busy", 0.3), Unread: chance("unread", 0.1), Drop: chance("drop", 0.5),
			Duplicate: chance("duplicate", 0.3), Reorder: chance("reorder", 0.3), Delay: chance("delay", 0.3),
			Missed: chance("missed", 0.1), MaxDelay: 5 * unit,
		},
		Stale: chance("stale", 0.2), Started: rapid.Bool().Draw(t, "started"),
		Attempts: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) attempt {
			return attempt{
				Policy: rapid.SampledFrom([]stream.Policy{stream.Restart, stream.Resume}).Draw(t, "policy"),
				Keep:   rapid.IntRange(-3, 6).Draw(t, "keep"),
				Chunks: sizes.Draw(t, "chunks"),
				Fate:   rapid.SampledFrom([]fate{abandons, sleeps, stops}).Draw(t, "fate"),
				Late:   sizes.Draw(t, "late"),
				Delay:  delay.Draw(t, "sleep"),
			}
		}), 1, 5).Draw(t, "attempts"),
		Readers: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) joiner {
			return joiner{Delay: delay.Draw(t, "join"), Resume: rapid.IntRange(0, 6).Draw(t, "resume")}
		}), 1, 4).Draw(t, "readers"),
		Config: stream.Config{
			WindowChunks: rapid.IntRange(1, 20).Draw(t, "window"), FrameBytes: rapid.IntRange(1, 100).Draw(t, "frame"),
			InFlight: rapid.IntRange(1, 3).Draw(t, "inflight"), LiveEntries: rapid.IntRange(1, 8).Draw(t, "live"),
		},
		MaxBody: rapid.IntRange(20, 200).Draw(t, "max body"),
	}
}

// staleBus answers some reads of the last entry from the past, as a leader that was just elected may.
type staleBus struct {
	bus.Log

	often float64

	mu   sync.Mutex
	rnd  *rand.Rand
	seen map[bus.StreamID][]*bus.Entry
}

func (b *staleBus) Last(ctx context.Context, id bus.StreamID) (*bus.Entry, error) {
	e, err := b.Log.Last(ctx, id)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.seen[id]
	b.seen[id] = append(old, e)
	if len(old) > 0 && b.rnd.Float64() < b.often {
		return old[max(0, len(old)-1-b.rnd.IntN(3))], nil
	}

	return e, nil
}

// run plays a scenario on a bus and returns everything that contradicts the guarantees.
// open opens a bus of its own on the same broker each time.
func (sc *scenario) run(ctx context.Context, open func() (bus.Bus, error), id bus.StreamID) error {
	b, err := open()
	if err != nil {
		return err
	}
	info := b.Info()
	info.MaxBody = sc.MaxBody
	faulty := bustest.Faulty(b, sc.Faults)
	stale := &staleBus{
		Log: faulty, often: sc.Stale, rnd: rand.New(rand.NewPCG(sc.Faults.Seed, 3)),
		seen: make(map[bus.StreamID][]*bus.Entry),
	}
	log := bus.Log(stale)
	if sc.Started {
		log = struct {
			*staleBus
			bus.Starter
		}{stale, faulty}
	}
	s := stream.NewStore(log, info, sc.Config)
	p := &play{scenario: sc, store: s, id: id, history: history.New()}
	var all sync.WaitGroup
	for i, j := range sc.Readers {
		all.Go(func() { p.note(p.read(ctx, fmt.Sprint(i), j)) })
	}
	p.note(p.write(ctx, &all))
	all.Wait()
	s.Close()
	p.note(faulty.Close(ctx)) // waits for appends that are late
	if b, err = open(); err != nil {
		return err
	}
	entries, err := readLog(ctx, b, id)
	p.note(err)
	p.note(p.history.Check(entries))
	p.note(b.Close(ctx))

	return errors.Join(p.problems...)
}

func readLog(ctx context.Context, b bus.Log, id bus.StreamID) ([]*bus.Entry, error) {
	last, err := b.Last(ctx, id)
	if err != nil {
		return nil, err
	}
	var entries []*bus.Entry
	for e, err := range b.Read(ctx, last, bus.Cursor{}) {
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}

	return entries, nil
}

type play struct {
	*scenario

	store   *stream.Store
	id      bus.StreamID
	history *history.History

	mu       sync.Mutex
	problems []error
	serial   int
}

func (p *play) note(err error) {
	if err != nil {
		p.mu.Lock()
		p.problems = append(p.problems, err)
		p.mu.Unlock()
	}
}

// chunk returns data that no other chunk has, of about the given length.
func (p *play) chunk(size int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serial++
	if size == 0 {
		return nil
	}
	unique := fmt.Appendf(nil, "%d.", p.serial)

	return append(unique, bytes.Repeat([]byte("x"), max(0, size-len(unique)))...)
}

// write plays the attempts, and then one after the other until one ended the stream.
func (p *play) write(ctx context.Context, zombies *sync.WaitGroup) error {
	for _, a := range p.Attempts {
		w, notes, err := p.open(ctx, a.Policy, a.Keep)
		if errors.Is(err, stream.ErrEnded) {
			return nil // a zombie ended it
		}
		if err != nil {
			return err
		}
		_ = p.send(ctx, w, notes, a.Chunks, a.Fate != stops)
		if a.Fate != sleeps {
			w.Abandon()

			continue
		}
		zombies.Go(func() {
			pause(ctx, a.Delay)
			if p.send(ctx, w, notes, a.Late, len(a.Late)%2 == 0) == nil {
				p.end(ctx, w, notes)
			}
			w.Abandon()
		})
	}
	for {
		w, notes, err := p.open(ctx, stream.Resume, -1)
		if errors.Is(err, stream.ErrEnded) {
			return nil
		}
		if err != nil {
			return err
		}
		if p.send(ctx, w, notes, []int{5, 90, 6, 95}, false) == nil && p.end(ctx, w, notes) {
			return nil
		}
		w.Abandon()
	}
}

func (p *play) open(ctx context.Context, policy stream.Policy, keep int) (*stream.Writer, *history.Writer, error) {
	cfg := stream.WriterConfig{Session: p.id.Session, Info: stream.Info{Stream: p.id.Stream}, Policy: policy}
	for {
		w, err := p.store.OpenWriter(ctx, cfg)
		if err != nil {
			return nil, nil, err
		}
		partial, err := w.Partial(ctx)
		if 0 <= keep && keep < len(partial) {
			if err := w.Rewind(uint64(keep)); err != nil {
				return nil, nil, err
			}
			partial = partial[:keep]
		}
		if err == nil {
			return w, p.history.Writer(w.Attempt(), uint64(len(partial))), nil
		}
		if !errors.Is(err, bus.ErrUnknown) {
			return nil, nil, err
		}
	}
}

// send sends chunks; the last flush is left out when the writer is to die with chunks in flight.
func (p *play) send(ctx context.Context, w *stream.Writer, notes *history.Writer, sizes []int, flush bool) error {
	for _, size := range sizes {
		if size < 0 {
			if err := w.Flush(ctx); err != nil {
				return err
			}
			notes.Flushed()

			continue
		}
		data := p.chunk(size)
		notes.Send(data)
		if err := w.Send(ctx, data); err != nil {
			notes.Refused()

			return err
		}
	}
	if !flush {
		return nil
	}
	err := w.Flush(ctx)
	if err == nil {
		notes.Flushed()
	}

	return err
}

func (p *play) end(ctx context.Context, w *stream.Writer, notes *history.Writer) bool {
	notes.End(bus.Completed)
	err := w.Close(ctx)
	if err == nil {
		notes.Ended()
	}

	return err == nil
}

// read follows the stream to its end and checks nothing by itself.
func (p *play) read(ctx context.Context, name string, j joiner) error {
	pause(ctx, j.Delay)
	notes := p.history.Reader(name)
	r, err := p.store.OpenReader(ctx, p.id, bus.Cursor{})
	if err != nil {
		return err
	}
	defer func() { r.Close() }()
	for n := 1; ; n++ {
		ev, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reader %s: %w", name, err)
		}
		notes.Saw(ev)
		if ev.Kind != stream.KindEnd && j.Resume > 0 && n%j.Resume == 0 {
			r.Close()
			if r, err = p.store.OpenReader(ctx, p.id, r.Cursor()); err != nil {
				return err
			}
			pause(ctx, j.Delay)
		}
	}
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func TestProtocolHoldsUnderFaults(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		sc := drawScenario(rt, time.Millisecond)
		var err error
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			broker := membus.NewBroker(membus.Config{})
			open := func() (bus.Bus, error) { return broker.Open(), nil }
			err = sc.run(ctx, open, bus.StreamID{Session: "session", Stream: "stream"})
		})
		if err != nil {
			rt.Fatalf("%v", err)
		}
	})
}
