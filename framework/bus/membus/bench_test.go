package membus_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
)

const token = " token"

// chunks appends n chunks of one token each to a stream.
func chunks(b *testing.B, m *membus.Bus, id bus.StreamID, n int) {
	b.Helper()

	var last *bus.Entry

	f := &bus.Frame{ID: id, Attempt: 1, Writer: "writer", Lengths: []int{len(token)}, Type: bus.Text, Body: []byte(token)}

	for i := range n {
		var err error

		f.First = uint64(i)
		if last, err = m.Append(b.Context(), f, last); err != nil {
			b.Error(err)

			return
		}
	}
}

// streamLength is how many chunks a benchmark puts into one stream.
const streamLength = 1000

func BenchmarkAppend(b *testing.B) {
	b.ReportAllocs()

	m := membus.New(membus.Config{MaxBytes: -1})
	for i := 0; i < b.N; i += streamLength {
		chunks(b, m, bus.StreamID{Session: "session", Stream: fmt.Sprint(i)}, min(streamLength, b.N-i))
	}
}

func BenchmarkAppendParallel(b *testing.B) {
	b.ReportAllocs()

	var streams atomic.Int64

	m := membus.New(membus.Config{MaxBytes: -1})

	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := 1
			for n < streamLength && pb.Next() {
				n++
			}

			chunks(b, m, bus.StreamID{Session: "session", Stream: fmt.Sprint(streams.Add(1))}, n)
		}
	})
}

// BenchmarkHop is a chunk's way from append to a follower of its stream.
func BenchmarkHop(b *testing.B) {
	for _, followers := range []int{1, 10} {
		b.Run(fmt.Sprint(followers), func(b *testing.B) {
			b.ReportAllocs()

			m := membus.New(membus.Config{MaxBytes: -1})
			for i := 0; i < b.N; i += streamLength {
				hop(b, m, bus.StreamID{Session: "session", Stream: fmt.Sprint(i)}, followers, min(streamLength, b.N-i))
			}
		})
	}
}

func hop(b *testing.B, m *membus.Bus, id bus.StreamID, followers, n int) {
	b.Helper()

	all, stops := make(chan struct{}, followers), make([]func(), 0, followers)

	for range followers {
		left := n

		stop, err := m.Follow(b.Context(), id, func(*bus.Entry) {
			left--

			if left == 0 {
				all <- struct{}{}
			}
		})
		if err != nil {
			b.Fatal(err)
		}

		stops = append(stops, stop)
	}

	chunks(b, m, id, n)

	for range followers {
		<-all
	}

	for _, stop := range stops {
		stop()
	}
}
