// Package flood measures what a producer that is far too fast for its reader does to the process and to others.
//
// [Run] streams short chunks in sessions of their own and measures how long each takes to its reader beside a flood: a
// component that has a lot to send to one that reads slowly. Again and again it dams the flood up for a while and measures
// the same without it, so that whatever else the machine does hits both alike. The window between the two components is
// what holds the producer back, so the process's memory and the others' latency should hardly change. The broker runs
// elsewhere, so that its memory is not counted.
//
// File map: flood.go the run and its report; others.go the other sessions; heap.go the process's memory.
package flood

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// Config says how hard to try. Only Bus is required.
type Config struct {
	// Bus is what everything shares.
	Bus bus.Bus
	// Stream bounds the flood. Defaults to the values of stream.Config.
	Stream stream.Config
	// Bytes is how much the producer has to send. Defaults to 1 GB.
	Bytes int
	// Chunk is the length of its chunks in bytes. Defaults to 4 KiB.
	Chunk int
	// Rate is how many bytes its reader takes in a second. Defaults to 1 MB.
	Rate int
	// Duration is how long the others are measured beside the flood, and then as long without it. Defaults to 5 s; -1
	// repeats that, 15 s and 3 s at a time, until all was read.
	Duration time.Duration
	// Sessions is how many others there are, with 50 chunks a second each. Defaults to 20.
	Sessions int
}

func (c Config) withDefaults() Config {
	c.Bytes = cmp.Or(c.Bytes, 1e9)
	c.Chunk = cmp.Or(c.Chunk, 4<<10)
	c.Rate = cmp.Or(c.Rate, 1e6)
	c.Duration = cmp.Or(c.Duration, 5*time.Second)
	c.Sessions = cmp.Or(c.Sessions, 20)

	return c
}

// Report is what was measured.
type Report struct {
	// Sent and Read are how many bytes the producer sent and its reader took; Ahead is the most that Sent was ahead.
	Sent, Read, Ahead int64
	// Heap is the largest live heap of the process beside the flood, in bytes, and Quiet that before.
	Heap, Quiet uint64
	// Without and Beside are the 99th percentiles of the other sessions' chunks, without the flood and beside it.
	Without, Beside time.Duration
	// Chunks is how many chunks of others were measured beside the flood.
	Chunks int
}

// String returns the report on one line.
func (r Report) String() string {
	return fmt.Sprintf("flood: sent %.1f MB, read %.1f MB, at most %.2f MB ahead; heap %.1f MB (quiet %.1f MB); "+
		"others' p99 without it %v, beside it %v (ratio %.2f, %d chunks)",
		mb(r.Sent), mb(r.Read), mb(r.Ahead), mb(int64(r.Heap)), mb(int64(r.Quiet)),
		r.Without.Round(time.Microsecond), r.Beside.Round(time.Microsecond), r.Ratio(), r.Chunks)
}

// Ratio is how many times longer the others' chunks took beside the flood.
func (r Report) Ratio() float64 { return float64(r.Beside) / float64(max(r.Without, 1)) }

func mb(n int64) float64 { return float64(n) / 1e6 }

// phases returns how long the others are measured at a time, beside the flood and without it.
func (c Config) phases() (beside, without time.Duration) {
	if c.Duration > 0 {
		return c.Duration, c.Duration
	}

	return 15 * time.Second, 3 * time.Second
}

const (
	source = "flood-source"
	sink   = "flood-sink"
)

// flood is the flow between the two components.
type flood struct {
	cfg        Config
	sent, read atomic.Int64
	ahead      atomic.Int64
	dam        sync.RWMutex // locked while the flood is held up
	done       chan struct{}
}

// Run measures on the bus of cfg. It returns when the measurement is over and all of it has stopped.
func Run(ctx context.Context, cfg Config) (Report, error) {
	cfg = cfg.withDefaults()

	store := stream.NewStore(cfg.Bus, cfg.Bus.Info(), cfg.Stream)
	defer store.Close()

	report := Report{Quiet: liveHeap()}
	o := &others{store: store, count: cfg.Sessions, run: rand.Text()}
	err := (&flood{cfg: cfg, done: make(chan struct{})}).measure(ctx, o, &report)

	return report, err
}

// measure floods while the others go on.
func (f *flood) measure(ctx context.Context, o *others, report *Report) error {
	flooding, end := context.WithCancel(ctx)
	defer end()

	services := []framework.Service{f.source(), f.sink()}
	errs := make(chan error, len(services))

	for _, s := range services {
		go func() { errs <- framework.Run(flooding, s, f.config()) }()
	}

	peak := watchHeap(flooding)

	err := f.post(ctx)
	if err == nil {
		err = f.compare(ctx, o, report)
	}

	report.Sent, report.Read, report.Ahead = f.sent.Load(), f.read.Load(), f.ahead.Load()

	end()

	report.Heap = <-peak

	return errors.Join(err, <-errs, <-errs)
}

// compare measures the others beside the flood and without it, in turn.
func (f *flood) compare(ctx context.Context, o *others, report *Report) error {
	var beside, without []time.Duration

	long, short := f.cfg.phases()

	for again := true; again; again = f.cfg.Duration < 0 && !f.over() {
		some, err := o.measure(ctx, long)
		if err != nil {
			return err
		}

		beside = append(beside, some...)

		f.dam.Lock()
		some, err = o.measure(ctx, short)
		f.dam.Unlock()

		if err != nil {
			return err
		}

		without = append(without, some...)
	}

	report.Beside, report.Without, report.Chunks = percentile(beside), percentile(without), len(beside)

	return nil
}

// over reports whether all of the flood was read.
func (f *flood) over() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// pass waits while the flood is held up.
func (f *flood) pass() {
	f.dam.RLock()
	f.dam.RUnlock() //nolint:gocritic,staticcheck // it only waits
}

// post starts the flood.
func (f *flood) post(ctx context.Context) error {
	client, err := framework.Connect(ctx, f.config())
	if err != nil {
		return fmt.Errorf("start the flood: %w", err)
	}

	_, err = client.Post(ctx, framework.Post{Session: "flood-" + rand.Text(), Component: source}, []byte("go"))

	return errors.Join(err, client.Close(ctx))
}

// config is that of the flood's services, which end at once when they are told to.
func (f *flood) config() framework.Config {
	return framework.Config{Bus: f.cfg.Bus, Stream: f.cfg.Stream, Drain: -1}
}

func (f *flood) source() framework.Service {
	handle := func(ctx context.Context, t *framework.Turn) error {
		data := make([]byte, f.cfg.Chunk)

		for left := f.cfg.Bytes; left > 0; left -= len(data) {
			f.pass()

			if err := t.Output.Send(ctx, data); err != nil {
				return err
			}

			ahead := f.sent.Add(int64(len(data))) - f.read.Load()
			f.ahead.Store(max(f.ahead.Load(), ahead))
		}

		return nil
	}

	return framework.Service{Name: source, To: []string{sink}, MaxDuration: -1, Handler: handle}
}

func (f *flood) sink() framework.Service {
	handle := func(ctx context.Context, t *framework.Turn) error {
		next := time.Now()

		for chunk, err := range t.Input.Chunks(ctx) {
			if err != nil {
				return err
			}

			f.pass()
			f.read.Add(int64(len(chunk.Data)))

			next = later(next, time.Now().Add(-time.Second)) // what was held up is not made up for
			next = next.Add(time.Duration(float64(len(chunk.Data)) / float64(f.cfg.Rate) * float64(time.Second)))

			if err := sleepUntil(ctx, next); err != nil {
				return err
			}
		}

		close(f.done) // it is tried once

		return nil
	}

	return framework.Service{Name: sink, MaxDuration: -1, Handler: handle}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}

	return b
}

func sleepUntil(ctx context.Context, at time.Time) error {
	left := time.Until(at)
	if left <= 0 {
		return nil
	}

	timer := time.NewTimer(left)
	defer timer.Stop()

	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
