package natsbus

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// TestTenThousandReaders opens as many streams with a reader each; -v prints what one costs.
func TestTenThousandReaders(t *testing.T) {
	t.Parallel()
	n := 10_000
	if raceEnabled {
		n = 1000
	}
	b := single(t)
	var got atomic.Int64
	all := make(chan struct{})
	stops := make([]func(), n)
	before, goroutines := heap(), runtime.NumGoroutine()
	for i := range n {
		stops[i] = must(b.Follow(t.Context(), testID(i), func(e *bus.Entry) {
			if e != nil && got.Add(1) == int64(n) {
				close(all)
			}
		}))(t)
	}
	must(b.nc.RTT())(t)
	t.Logf("%d bytes per reader, its part of the server in this process included; %d more goroutines",
		(int64(heap())-int64(before))/int64(n), runtime.NumGoroutine()-goroutines)
	crowdReaders(t, b, n)
	select {
	case <-all:
	case <-time.After(patience):
		t.Errorf("%d of %d frames were delivered", got.Load(), n)
	}
	names := b.js.ListStreams(t.Context())
	for info := range names.Info() {
		if info.State.Consumers != 0 {
			t.Errorf("%s has %d consumers", info.Config.Name, info.State.Consumers)
		}
	}
	for _, stop := range stops {
		stop()
	}
	if len(b.follows.topics)+len(b.follows.bySub) != 0 || b.nc.NumSubscriptions() > 5 {
		t.Errorf("%d topics, %d subscriptions are left", len(b.follows.topics), b.nc.NumSubscriptions())
	}
}

// crowdReaders stores one frame in each of n streams.
func crowdReaders(t *testing.T, b *Bus, n int) {
	t.Helper()
	for i := 0; i < n; i += 500 {
		var calls []*call
		for k := i; k < i+500; k++ {
			id := testID(k)
			subject := must(b.ns.Log(id.Session, id.Stream))(t)
			m := &nats.Msg{Subject: subject, Header: encodeFrame(frame(id, 0, "x"), noLinks), Data: []byte("x")}
			calls = append(calls, must(b.req.start(m, patience))(t))
		}
		for _, c := range calls {
			must(b.req.wait(t.Context(), c))(t)
		}
	}
}

func heap() uint64 {
	runtime.GC() //nolint:revive // what is left is what is measured
	var m runtime.MemStats
	runtime.ReadMemStats(&m)

	return m.HeapAlloc
}

// TestOverflowIsTold blocks the delivery until frames are dropped.
func TestOverflowIsTold(t *testing.T) {
	t.Parallel()
	b := single(t)
	b.follows.close() // before anyone follows
	b.follows = newFollows(b.nc, 4*liveOverhead, b.decodeLive)
	id := testID(1)
	release := make(chan struct{})
	told := make(chan struct{}, 100)
	stop := must(b.Follow(t.Context(), id, func(e *bus.Entry) {
		if e == nil {
			told <- struct{}{}

			return
		}
		<-release
	}))(t)
	defer stop()
	fill(t, b, id, 20)
	must(b.nc.RTT())(t) // all of them have reached the client
	close(release)
	select {
	case <-told:
	case <-time.After(patience):
		t.Error("the reader was not told")
	}
}
