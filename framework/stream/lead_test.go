package stream_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/bustest"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// toSpeak is a stream that component speak reads.
func toSpeak(readers ...string) stream.WriterConfig {
	if readers == nil {
		readers = []string{"speak"}
	}

	return stream.WriterConfig{Session: "session", Info: stream.Info{Stream: "stream"}, Readers: readers}
}

func assigned(t *testing.T, s *stream.Store, id bus.StreamID, component string) *stream.Reader {
	t.Helper()
	r, err := s.OpenAssigned(t.Context(), id, bus.Cursor{}, component)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)

	return r
}

// produce sends chunks of a size until ctx ends, and counts those that were taken.
func produce(ctx context.Context, w *stream.Writer, size int, sent *atomic.Int64) error {
	data := make([]byte, size)
	for {
		if err := w.Send(ctx, data); err != nil {
			return err
		}
		sent.Add(1)
	}
}

// flood has a writer send without end, and returns how many chunks it could send.
func flood(t *testing.T, w *stream.Writer, size int) *atomic.Int64 {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var sent atomic.Int64
	var running sync.WaitGroup
	running.Go(func() { _ = produce(ctx, w, size, &sent) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		w.Abandon()
	})

	return &sent
}

// bubble runs f with two stores on one broker in memory, as two processes.
func bubble(t *testing.T, cfg stream.Config, f func(t *testing.T, writing, reading *stream.Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		stores := make([]*stream.Store, 2)
		for i := range stores {
			b := broker.Open()
			stores[i] = stream.NewStore(b, b.Info(), cfg)
			t.Cleanup(func() {
				stores[i].Close()
				_ = b.Close(context.WithoutCancel(t.Context()))
			})
		}
		f(t, stores[0], stores[1])
	})
}

func wantSent(t *testing.T, sent *atomic.Int64, least, most int64) {
	t.Helper()
	synctest.Wait()
	if n := sent.Load(); n < least || n > most {
		t.Errorf("%d chunks were sent, want %d to %d", n, least, most)
	}
}

func TestWriterWaitsForItsAssignedReader(t *testing.T) {
	t.Parallel()
	bubble(t, stream.Config{AheadChunks: 100}, func(t *testing.T, writing, reading *stream.Store) {
		t.Helper()
		w := open(t, writing, toSpeak())
		sent := flood(t, w, 10)
		wantSent(t, sent, 100, 100)
		<-time.After(time.Hour) // nobody reads
		wantSent(t, sent, 100, 100)
		r := assigned(t, reading, w.ID(), "speak")
		next(t, r, 31)
		<-time.After(10 * time.Second) // until it is asked again
		wantSent(t, sent, 130, 130)
		for n := 32; n < 1000; n++ {
			next(t, r, 1)
			wantSent(t, sent, int64(n)+74, int64(n)+100) // it reports after each 25, and what it reads now is not read
		}
	})
}

func TestWindowCountsBytes(t *testing.T) {
	t.Parallel()
	bubble(t, stream.Config{AheadBytes: 1000}, func(t *testing.T, writing, reading *stream.Store) {
		t.Helper()
		w := open(t, writing, toSpeak())
		sent := flood(t, w, 300)
		wantSent(t, sent, 3, 3)
		r := assigned(t, reading, w.ID(), "speak")
		for n := range int64(50) {
			next(t, r, 1)
			<-time.After(2 * time.Second)
			wantSent(t, sent, n+3, n+3)
		}
	})
}

// TestChunksLargerThanTheWindow go one by one, and without waiting for the reader to be asked each time.
func TestChunksLargerThanTheWindow(t *testing.T) {
	t.Parallel()
	bubble(t, stream.Config{AheadBytes: 100}, func(t *testing.T, writing, reading *stream.Store) {
		t.Helper()
		w := open(t, writing, toSpeak())
		sent := flood(t, w, 300)
		wantSent(t, sent, 1, 1)
		r := assigned(t, reading, w.ID(), "speak")
		next(t, r, 1)
		begun := time.Now()
		next(t, r, 100)
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("100 chunks took %v", took)
		}
		wantSent(t, sent, 101, 101)
	})
}

func TestOthersAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	bubble(t, stream.Config{AheadChunks: 10}, func(t *testing.T, writing, reading *stream.Store) {
		t.Helper()
		free := open(t, writing, stream.WriterConfig{Session: "session", Info: stream.Info{Stream: "free"}})
		read(t, reading, free.ID(), bus.Cursor{}) // reads nothing
		for range 5000 {
			if err := free.Send(t.Context(), []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		end(t, free)
		w := open(t, writing, toSpeak())
		assigned(t, reading, w.ID(), "somebody-else")
		sent := flood(t, w, 1)
		wantSent(t, sent, 10, 10)
	})
}

func TestTheSlowestOfTwoReadersCounts(t *testing.T) {
	t.Parallel()
	bubble(t, stream.Config{AheadChunks: 40}, func(t *testing.T, writing, reading *stream.Store) {
		t.Helper()
		w := open(t, writing, toSpeak("speak", "audit"))
		sent := flood(t, w, 1)
		fast, slow := assigned(t, reading, w.ID(), "speak"), assigned(t, reading, w.ID(), "audit")
		next(t, fast, 40)
		<-time.After(10 * time.Second)
		wantSent(t, sent, 40, 40)
		next(t, slow, 21)
		<-time.After(10 * time.Second)
		wantSent(t, sent, 60, 60)
		slow.Release(t.Context())
		wantSent(t, sent, 79, 79)
		next(t, fast, 30)
		<-time.After(10 * time.Second)
		wantSent(t, sent, 109, 109)
	})
}

func TestReaderThatBeginsAgainIsWaitedFor(t *testing.T) {
	t.Parallel()
	bubble(t, stream.Config{AheadChunks: 100}, func(t *testing.T, writing, reading *stream.Store) {
		t.Helper()
		w := open(t, writing, toSpeak())
		sent := flood(t, w, 1)
		first := assigned(t, reading, w.ID(), "speak")
		next(t, first, 91)
		<-time.After(10 * time.Second)
		wantSent(t, sent, 190, 190)
		first.Close()
		second := assigned(t, reading, w.ID(), "speak")
		next(t, second, 11)
		<-time.After(10 * time.Second)
		next(t, second, 150)
		<-time.After(10 * time.Second)
		wantSent(t, sent, 260, 260)
	})
}

func TestWriterThatBeginsAgainHasItsOwnWindow(t *testing.T) {
	t.Parallel()
	for _, policy := range []stream.Policy{stream.Restart, stream.Resume} {
		bubble(t, stream.Config{AheadChunks: 100}, func(t *testing.T, writing, reading *stream.Store) {
			t.Helper()
			cfg := toSpeak()
			cfg.Policy = policy
			dead := open(t, reading, cfg)
			r := assigned(t, reading, dead.ID(), "speak")
			send(t, dead, strings.Split(strings.Repeat("x", 80), "")...)
			next(t, r, 61)
			dead.Abandon()
			w := open(t, writing, cfg)
			sent := flood(t, w, 1)
			wantSent(t, sent, 100, 100)
			next(t, r, 20) // those that stay, or one that says that the others don't
			<-time.After(10 * time.Second)
			wantSent(t, sent, 100, 100)
			next(t, r, 81)
			<-time.After(10 * time.Second)
			wantSent(t, sent, 180, 182)
		})
	}
}

func TestTrySendDoesNotWait(t *testing.T) {
	t.Parallel()
	bubble(t, stream.Config{AheadChunks: 3, WindowChunks: 100}, func(t *testing.T, writing, reading *stream.Store) {
		t.Helper()
		w := open(t, writing, toSpeak())
		defer w.Abandon()
		taken := 0
		try := func() (err error) {
			for ; err == nil; taken++ {
				err = w.TrySend(t.Context(), []byte("x"))
			}
			taken--

			return err
		}
		if err := try(); !errors.Is(err, stream.ErrBackpressure) || taken != 3 {
			t.Errorf("%d taken, %v", taken, err)
		}
		r := assigned(t, reading, w.ID(), "speak")
		next(t, r, 3)
		<-time.After(2 * time.Second)
		_ = try() // asks
		synctest.Wait()
		if err := try(); !errors.Is(err, stream.ErrBackpressure) || taken != 5 {
			t.Errorf("%d taken, %v", taken, err)
		}
		if err := w.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := w.TrySend(t.Context(), nil); !errors.Is(err, stream.ErrEnded) {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestAllWritersTogetherHoldABoundedAmount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := &gateBus{Bus: membus.New(membus.Config{}), open: make(chan struct{})}
		s := stream.NewStore(gate, gate.Info(), stream.Config{TotalBytes: 1000})
		defer s.Close()
		var writers []*stream.Writer
		taken := 0
		for i := range 20 {
			w := open(t, s, stream.WriterConfig{Info: stream.Info{Stream: fmt.Sprint("s", i)}})
			writers = append(writers, w)
			for range 10 {
				if err := w.TrySend(t.Context(), make([]byte, 90)); err == nil {
					taken++
				} else if !errors.Is(err, stream.ErrBackpressure) {
					t.Fatal(err)
				}
			}
		}
		if taken != 10+1+18 { // one fills the bound, and each may send one
			t.Errorf("%d chunks were taken", taken)
		}
		var sending sync.WaitGroup
		for _, w := range writers {
			sending.Go(func() {
				for range 50 {
					if err := w.Send(t.Context(), make([]byte, 90)); err != nil {
						t.Error(err)
					}
				}
				end(t, w)
			})
		}
		synctest.Wait()
		close(gate.open)
		sending.Wait()
		w := open(t, s, stream.WriterConfig{Info: stream.Info{Stream: "last"}})
		for range 11 { // nothing is held by those that have ended
			if err := w.TrySend(t.Context(), make([]byte, 90)); err != nil {
				t.Fatal(err)
			}
		}
		w.Abandon()
	})
}

// gateBus appends nothing until it is opened.
type gateBus struct {
	bus.Bus

	open chan struct{}
}

func (b *gateBus) Append(ctx context.Context, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	select {
	case <-b.open:
		return b.Bus.Append(ctx, f, after)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func TestWaitingSendEndsWithItsContextItsWriterAndItsStore(t *testing.T) {
	t.Parallel()
	bubble(t, stream.Config{AheadChunks: 1}, func(t *testing.T, writing, _ *stream.Store) {
		t.Helper()
		for _, test := range []struct {
			name string
			end  func(*stream.Writer, context.CancelFunc)
			want error
		}{
			{"context", func(_ *stream.Writer, cancel context.CancelFunc) { cancel() }, context.Canceled},
			{"abandon", func(w *stream.Writer, _ context.CancelFunc) { w.Abandon() }, stream.ErrClosed},
			{"close", func(w *stream.Writer, _ context.CancelFunc) { _ = w.Close(t.Context()) }, stream.ErrEnded},
			{"store", func(*stream.Writer, context.CancelFunc) { writing.Close() }, stream.ErrClosed},
		} {
			waitingEnds(t, writing, test.name, test.end, test.want)
		}
	})
}

func waitingEnds(
	t *testing.T, s *stream.Store, name string, endIt func(*stream.Writer, context.CancelFunc), want error,
) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cfg := toSpeak()
	cfg.Info.Stream = name
	w := open(t, s, cfg)
	defer w.Abandon()
	var sent atomic.Int64
	got := make(chan error, 1)
	go func() { got <- produce(ctx, w, 1, &sent) }()
	synctest.Wait()
	endIt(w, cancel)
	if err := <-got; !errors.Is(err, want) || sent.Load() != 1 {
		t.Errorf("%s: %d sent, %v", name, sent.Load(), err)
	}
}

func TestReleaseIsRepeatedUntilItArrives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := membus.New(membus.Config{})
		deaf := &mutedBus{Bus: b}
		writing, reading := stream.NewStore(b, b.Info(), stream.Config{AheadChunks: 5}),
			stream.NewStore(deaf, b.Info(), stream.Config{})
		defer writing.Close()
		defer reading.Close()
		w := open(t, writing, toSpeak())
		r := assigned(t, reading, w.ID(), "speak")
		var sent atomic.Int64
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 100 {
				if err := w.Send(t.Context(), []byte("x")); err != nil {
					t.Error(err)
				}
				sent.Add(1)
			}
			end(t, w)
		}()
		next(t, r, 1)
		deaf.mute.Store(true)
		r.Release(t.Context())
		<-time.After(5 * time.Second)
		wantSent(t, &sent, 5, 5)
		deaf.mute.Store(false)
		<-done
	})
}

// mutedBus loses all signals that it is to send while it is mute.
type mutedBus struct {
	bus.Bus

	mute atomic.Bool
}

func (b *mutedBus) Signal(ctx context.Context, id bus.StreamID, data []byte) error {
	if b.mute.Load() {
		return nil
	}

	return b.Bus.Signal(ctx, id, data)
}

func TestReadersAreRefusedWhereTheyCouldNotBeHeard(t *testing.T) {
	t.Parallel()
	b := membus.New(membus.Config{})
	s := stream.NewStore(struct{ bus.Log }{b}, b.Info(), stream.Config{})
	defer s.Close()
	if _, err := s.OpenWriter(t.Context(), toSpeak()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("writer: %v", err)
	}
	if _, err := s.OpenAssigned(t.Context(), streamID(), bus.Cursor{}, "speak"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("reader: %v", err)
	}
	s = setup(t, stream.Config{})
	if _, err := s.OpenWriter(t.Context(), toSpeak("no id")); !errors.Is(err, bus.ErrInvalid) {
		t.Errorf("writer: %v", err)
	}
	if _, err := s.OpenAssigned(t.Context(), streamID(), bus.Cursor{}, ""); !errors.Is(err, bus.ErrInvalid) {
		t.Errorf("reader: %v", err)
	}
}

func streamID() bus.StreamID { return bus.StreamID{Session: "session", Stream: "stream"} }

// TestWindowHolds has a writer, some of its attempts, and readers that stop and begin again, with signals that get lost,
// come twice or late. All is read in the end, and no writer is further ahead than its window.
func TestWindowHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := windowCase{
			window: rapid.IntRange(1, 40).Draw(rt, "window"), chunks: rapid.IntRange(1, 300).Draw(rt, "chunks"),
			readers: rapid.IntRange(1, 3).Draw(rt, "readers"), attempts: rapid.IntRange(1, 3).Draw(rt, "attempts"),
			seed: rapid.Uint64().Draw(rt, "seed"),
		}
		var err error
		synctest.Test(t, func(t *testing.T) {
			b := bustest.Faulty(membus.New(membus.Config{}), bustest.FaultConfig{
				Seed: w.seed, Drop: 0.2, Duplicate: 0.2, Reorder: 0.2, Delay: 0.2, MaxDelay: time.Second,
			})
			err = w.run(t.Context(), b)
			_ = b.Close(t.Context())
		})
		if err != nil {
			rt.Fatalf("%+v: %v", w, err)
		}
	})
}

func TestWindowHoldsOnNATS(t *testing.T) {
	t.Parallel()
	b, err := natsbus.Open(t.Context(), natsbus.Config{URL: embeddedtest.Run(t).URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close(context.WithoutCancel(t.Context())) }()
	w := windowCase{window: 20, chunks: 3000, readers: 2, attempts: 1, seed: 1, stream: "nats"}
	if err := w.run(t.Context(), b); err != nil {
		t.Error(err)
	}
}

type windowCase struct {
	window, chunks, readers, attempts int
	seed                              uint64
	stream                            string
}

func (c windowCase) run(ctx context.Context, b bus.Bus) error {
	s := stream.NewStore(b, b.Info(), stream.Config{AheadChunks: c.window})
	defer s.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, time.Hour, errors.New("the case got stuck"))
	defer cancel()
	cfg := stream.WriterConfig{Session: "session", Info: stream.Info{Stream: "stream" + c.stream}}
	read := make([]atomic.Int64, c.readers)
	errs := make(chan error, c.readers)
	for i := range c.readers {
		name := fmt.Sprint("r", i)
		cfg.Readers = append(cfg.Readers, name)
		rnd := rand.New(rand.NewPCG(c.seed, uint64(i)))
		go func() { errs <- c.reader(ctx, s, name, rnd, &read[i]) }()
	}
	err := c.write(ctx, s, cfg, read)
	if err != nil {
		cancel()
	}
	for range c.readers {
		err = errors.Join(err, <-errs)
	}

	return err
}

// write writes attempts, of which only the last one goes to the end.
func (c windowCase) write(ctx context.Context, s *stream.Store, cfg stream.WriterConfig, read []atomic.Int64) error {
	for attempt := 1; ; attempt++ {
		w, err := s.OpenWriter(ctx, cfg)
		if err != nil {
			return err
		}
		for i := range c.chunks * attempt / c.attempts {
			if err := w.Send(ctx, []byte{byte(i)}); err != nil {
				return err
			}
			for r := range read {
				if ahead := int64(i+1) - read[r].Load(); attempt == 1 && ahead > int64(c.window)+1 {
					return fmt.Errorf("%d chunks ahead of reader %d", ahead, r)
				}
			}
		}
		if attempt == c.attempts {
			return w.Close(ctx)
		}
		w.Abandon()
	}
}

// reader reads to the end as a component that dies now and then, and begins again.
func (c windowCase) reader(ctx context.Context, s *stream.Store, name string, rnd *rand.Rand, most *atomic.Int64) error {
	for {
		r, err := s.OpenAssigned(ctx, bus.StreamID{Session: "session", Stream: "stream" + c.stream}, bus.Cursor{}, name)
		if err != nil {
			return err
		}
		done, err := c.readSome(ctx, r, rnd, most)
		r.Close()
		if done || err != nil {
			return err
		}
	}
}

func (c windowCase) readSome(ctx context.Context, r *stream.Reader, rnd *rand.Rand, most *atomic.Int64) (bool, error) {
	for {
		ev, err := r.Next(ctx)
		switch {
		case err != nil:
			return false, err
		case ev.Kind == stream.KindEnd:
			return true, nil
		case ev.Kind == stream.KindChunk:
			most.Store(max(most.Load(), int64(ev.Chunk.Index)+1))
		}
		if rnd.IntN(2*c.chunks) == 0 {
			return false, nil
		}
	}
}

func FuzzHints(f *testing.F) {
	for _, s := range []string{
		"", " ", "ask", "ask 250 1048576", "ask 0 1", "ask -1 1", "ask 1 1 1", "at", "at 0000040000000064 speak", "at x speak",
		"at 0000040000000064 ", "free", "free speak", "free  ", "later words", "ask 99999999999999999999 1",
	} {
		f.Add([]byte(s))
	}
	b := membus.New(membus.Config{})
	s := stream.NewStore(b, b.Info(), stream.Config{AheadChunks: 1})
	f.Cleanup(s.Close)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > bus.MaxSignal {
			t.Skip()
		}
		cfg := toSpeak()
		cfg.Info.Stream = fmt.Sprint("s", rand.Uint64())
		w := open(t, s, cfg)
		r := assigned(t, s, w.ID(), "speak")
		send(t, w, "x")
		if err := b.Signal(t.Context(), w.ID(), data); err != nil {
			t.Fatal(err)
		}
		next(t, r, 1)
		end(t, w)
		next(t, r, 1)
	})
}
