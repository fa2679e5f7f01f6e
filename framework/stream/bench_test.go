package stream_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// buses are the brokers to measure on.
func buses(b *testing.B) map[string]func(*testing.B) bus.Bus {
	b.Helper()

	return map[string]func(*testing.B) bus.Bus{
		"memory": func(*testing.B) bus.Bus { return membus.New(membus.Config{}) },
		"nats-R1": func(b *testing.B) bus.Bus {
			b.Helper()
			opened, err := natsbus.Open(b.Context(), natsbus.Config{URL: embeddedtest.Run(b).URL()})
			if err != nil {
				b.Fatal(err)
			}

			return opened
		},
	}
}

func each(b *testing.B, run func(*testing.B, *stream.Store)) {
	b.Helper()
	for name, open := range buses(b) {
		b.Run(name, func(b *testing.B) {
			opened := open(b)
			s := stream.NewStore(opened, opened.Info(), stream.Config{WindowChunks: 10_000})
			defer func() {
				s.Close()
				if err := opened.Close(context.WithoutCancel(b.Context())); err != nil {
					b.Error(err)
				}
			}()
			run(b, s)
		})
	}
}

// BenchmarkHop measures from Send to the reader's Next, one chunk at a time.
func BenchmarkHop(b *testing.B) {
	each(b, func(b *testing.B, s *stream.Store) {
		b.Helper()
		w, r := pair(b, s, "hop")
		defer r.Close()
		data := []byte(strings.Repeat("x", 64))
		hops := make([]time.Duration, 0, b.N)
		b.ReportAllocs()
		for b.Loop() {
			begin := time.Now()
			if err := w.Send(b.Context(), data); err != nil {
				b.Fatal(err)
			}
			if _, err := r.Next(b.Context()); err != nil {
				b.Fatal(err)
			}
			hops = append(hops, time.Since(begin))
		}
		slices.Sort(hops)
		b.ReportMetric(float64(hops[len(hops)/2].Nanoseconds())/1e3, "p50-µs")
		b.ReportMetric(float64(hops[len(hops)*99/100].Nanoseconds())/1e3, "p99-µs")
	})
}

// BenchmarkFlow measures chunks of one stream at full speed.
func BenchmarkFlow(b *testing.B) {
	each(b, func(b *testing.B, s *stream.Store) {
		b.Helper()
		w, r := pair(b, s, "flow")
		defer r.Close()
		data := []byte(strings.Repeat("x", 64))
		var reading sync.WaitGroup
		b.ReportAllocs()
		b.ResetTimer()
		n := b.N
		reading.Go(func() {
			for range n {
				if _, err := r.Next(b.Context()); err != nil {
					b.Error(err)

					return
				}
			}
		})
		for range n {
			if err := w.Send(b.Context(), data); err != nil {
				b.Fatal(err)
			}
		}
		reading.Wait()
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "chunks/s")
	})
}

// BenchmarkReaders writes to 10,000 streams, opens a reader of each, lets it read up to what comes next, and says what
// such a reader costs.
func BenchmarkReaders(b *testing.B) {
	each(b, func(b *testing.B, s *stream.Store) {
		b.Helper()
		const n = 10_000
		ids := make([]bus.StreamID, n)
		for i := range ids {
			ids[i] = bus.StreamID{Session: fmt.Sprint("readers-", i), Stream: fmt.Sprint(time.Now().UnixNano())}
			cfg := stream.WriterConfig{Session: ids[i].Session, Info: stream.Info{Stream: ids[i].Stream}, Unlisted: true}
			w, err := s.OpenWriter(b.Context(), cfg)
			if err != nil {
				b.Fatal(err)
			}
			if err := w.Send(b.Context(), []byte("x")); err != nil {
				b.Fatal(err)
			}
			if err := w.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		for b.Loop() {
			before, goroutines := heap(), runtime.NumGoroutine()
			readers := make([]*stream.Reader, n)
			for i := range readers {
				r, err := s.OpenReader(b.Context(), ids[i], bus.Cursor{})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := r.Next(b.Context()); err != nil {
					b.Fatal(err)
				}
				readers[i] = r
			}
			opened, more := heap(), runtime.NumGoroutine()-goroutines
			b.ReportMetric((float64(opened)-float64(before))/n, "B/reader")
			b.ReportMetric(float64(more)/n, "goroutines/reader")
			for _, r := range readers {
				r.Close()
			}
		}
	})
}

func heap() uint64 {
	runtime.GC() //nolint:revive // what is garbage is not to be measured
	runtime.GC() //nolint:revive // and finalizers run in between
	var m runtime.MemStats
	runtime.ReadMemStats(&m)

	return m.HeapAlloc + m.StackInuse
}

// pair returns a writer and a reader of a stream that has begun.
func pair(b *testing.B, s *stream.Store, name string) (*stream.Writer, *stream.Reader) {
	b.Helper()
	w, err := s.OpenWriter(b.Context(), stream.WriterConfig{
		Session: fmt.Sprint(name, "-", b.N), Info: stream.Info{Stream: fmt.Sprint(name, "-", time.Now().UnixNano())},
	})
	if err != nil {
		b.Fatal(err)
	}
	r, err := s.OpenReader(b.Context(), w.ID(), bus.Cursor{})
	if err != nil {
		b.Fatal(err)
	}
	if err := w.Send(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	if _, err := r.Next(b.Context()); err != nil {
		b.Fatal(err)
	}

	return w, r
}
