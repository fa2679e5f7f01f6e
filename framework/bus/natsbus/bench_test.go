package natsbus

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/embedded"
	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/bus"
)

// The size of the log of BenchmarkCatchUp: by default small enough to try, with -catchup.entries=1000000
// -catchup.streams=100000 that of the bar.
var (
	catchUpEntries = flag.Int("catchup.entries", 100_000, "entries of other streams in the log of BenchmarkCatchUp")
	catchUpStreams = flag.Int("catchup.streams", 10_000, "other streams in the log of BenchmarkCatchUp")
)

// BenchmarkCatchUp reads the 100 frames of a stream that lie among those of many others.
func BenchmarkCatchUp(b *testing.B) {
	const frames = 100
	nb := open(b, Config{URL: embeddedtest.Run(b).URL(), Shards: 1})
	id := bus.StreamID{Session: "reader", Stream: "out"}
	var last *bus.Entry
	for i := range frames {
		crowd(b, nb, *catchUpEntries/frames, i**catchUpEntries/frames)
		last = must(nb.Append(b.Context(), frame(id, i, "hello token"), last))(b)
	}
	var took []time.Duration
	b.ReportAllocs()
	for b.Loop() { // which fills the log once
		begun := time.Now()
		last := must(nb.Last(b.Context(), id))(b)
		n := 0
		for _, err := range nb.Read(b.Context(), last, bus.Cursor{}) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != frames {
			b.Fatalf("%d frames, want %d", n, frames)
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// crowd stores n frames of other streams, unfenced and many at once.
func crowd(b *testing.B, nb *Bus, n, from int) {
	b.Helper()
	var calls []*call
	for i := range n {
		id := bus.StreamID{Session: "other-" + strconv.Itoa((from+i)%*catchUpStreams), Stream: "out"}
		subject := must(nb.ns.Log(id.Session, id.Stream))(b)
		h := encodeFrame(frame(id, 0, "hello token"), noLinks)
		calls = append(calls, must(nb.req.start(&nats.Msg{Subject: subject, Header: h, Data: []byte("hello token")}, time.Minute))(b))
		if len(calls) < 1000 && i < n-1 {
			continue
		}
		for _, c := range calls {
			must(parseAck(must(nb.req.wait(b.Context(), c))(b)))(b)
		}
		calls = calls[:0]
	}
}

// BenchmarkAppend appends in one stream, one frame after another.
func BenchmarkAppend(b *testing.B) {
	for name, cfg := range map[string]Config{
		"tcp":       {URL: embeddedtest.Run(b).URL()},
		"inprocess": {InProcess: embeddedtest.RunInProcess(b)},
	} {
		b.Run(name, func(b *testing.B) {
			nb := open(b, cfg)
			id := bus.StreamID{Session: "bench", Stream: "s" + strconv.Itoa(b.N)}
			var last *bus.Entry
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				last = must(nb.Append(b.Context(), frame(id, i, "hello token"), last))(b)
			}
		})
	}
}

// BenchmarkAppendStreams appends in many streams at once and reads them live.
func BenchmarkAppendStreams(b *testing.B) {
	nb := open(b, Config{URL: embeddedtest.Run(b).URL(), AppendTimeout: time.Minute}) // measure, don't judge
	for _, streams := range []int{10, 100, 1000} {
		b.Run(strconv.Itoa(streams), func(b *testing.B) {
			var wg sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for s := range streams {
				wg.Go(func() {
					id := bus.StreamID{Session: fmt.Sprint("bench-", streams, "-", s), Stream: "s" + strconv.Itoa(b.N)}
					var last *bus.Entry
					for i := range b.N / streams {
						e, err := nb.Append(b.Context(), frame(id, i, "hello token"), last)
						if err != nil {
							b.Error(err)

							return
						}
						last = e
					}
				})
			}
			wg.Wait()
		})
	}
}

// longLinks are those of frame 1000 of a log that 5,000 others write into.
func longLinks() bus.Links {
	links := []uint64{1000}
	for range linkCount(1000) {
		links = append(links, links[len(links)-1]+5000)
	}

	return bus.Links{Text: encodeLinks(links), Last: links[len(links)-1]}
}

func BenchmarkEncode(b *testing.B) {
	f, links := frame(testID(1), 1001, "hello token"), longLinks()
	b.ReportAllocs()
	for b.Loop() {
		next, err := linksBehind(links, links.Last+5000)
		if err != nil {
			b.Fatal(err)
		}
		encodeFrame(f, next.Text)
	}
}

func BenchmarkDecode(b *testing.B) {
	f, links := frame(testID(1), 1000, "hello token"), longLinks().Text
	h := encodeFrame(f, links)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeEntry(f.ID, 1, h, f.Body); err != nil {
			b.Fatal(err)
		}
	}
}

var _ InProcess = (*embedded.Server)(nil)
