// Package flood measures what a producer that is far too fast for its reader does to the process and to others.
//
// [Run] streams short chunks in sessions of their own and measures how long each takes to its reader, first alone and
// then beside a flood: a component that has a lot to send to one that reads slowly. The window between the two is what
// holds the producer back, so the process's memory and the others' latency should hardly change. The broker runs
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
	// Duration bounds each of the two phases. Defaults to 5 s; -1 lets the second one last until all was read, and the
	// first one 10 s.
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
	// Before and During are the 99th percentiles of the other sessions' chunks, alone and beside the flood.
	Before, During time.Duration
	// Chunks is how many chunks of others were measured beside the flood.
	Chunks int
}

// String returns the report on one line.
func (r Report) String() string {
	return fmt.Sprintf("flood: sent %.1f MB, read %.1f MB, at most %.2f MB ahead; heap %.1f MB (quiet %.1f MB); "+
		"others' p99 %v, beside the flood %v (ratio %.2f, %d chunks)",
		mb(r.Sent), mb(r.Read), mb(r.Ahead), mb(int64(r.Heap)), mb(int64(r.Quiet)),
		r.Before.Round(time.Microsecond), r.During.Round(time.Microsecond), r.Ratio(), r.Chunks)
}

// Ratio is how many times longer the others' chunks took beside the flood.
func (r Report) Ratio() float64 { return float64(r.During) / float64(max(r.Before, 1)) }

func mb(n int64) float64 { return float64(n) / 1e6 }

// quiet returns how long the first phase lasts.
func (c Config) quiet() time.Duration {
	if c.Duration > 0 {
		return c.Duration
	}

	return 10 * time.Second
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
	done       chan struct{}
}

// Run measures on the bus of cfg. It returns when the measurement is over and all of it has stopped.
func Run(ctx context.Context, cfg Config) (Report, error) {
	cfg = cfg.withDefaults()

	store := stream.NewStore(cfg.Bus, cfg.Bus.Info(), cfg.Stream)
	defer store.Close()

	o := &others{store: store, count: cfg.Sessions, run: "before-" + rand.Text()}

	before, err := o.measure(ctx, cfg.quiet(), nil)
	if err != nil {
		return Report{}, err
	}

	o.run = "during-" + rand.Text()
	report := Report{Before: percentile(before), Quiet: liveHeap()}
	err = (&flood{cfg: cfg, done: make(chan struct{})}).measure(ctx, o, &report)

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
		var during []time.Duration

		during, err = o.measure(ctx, f.cfg.Duration, f.done)
		report.During, report.Chunks = percentile(during), len(during)
	}

	report.Sent, report.Read, report.Ahead = f.sent.Load(), f.read.Load(), f.ahead.Load()

	end()

	report.Heap = <-peak

	return errors.Join(err, <-errs, <-errs)
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
		begun := time.Now()

		for chunk, err := range t.Input.Chunks(ctx) {
			if err != nil {
				return err
			}

			read := f.read.Add(int64(len(chunk.Data)))
			due := time.Duration(float64(read) / float64(f.cfg.Rate) * float64(time.Second))

			if err := sleepUntil(ctx, begun.Add(due)); err != nil {
				return err
			}
		}

		close(f.done) // it is tried once

		return nil
	}

	return framework.Service{Name: sink, MaxDuration: -1, Handler: handle}
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
