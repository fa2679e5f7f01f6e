package redisbus

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

// report tells percentiles instead of the mean.
func report(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkAppend is one frame after another, stored and acknowledged.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{16, 64 << 10, 1 << 20} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			w := single(b)
			text := string(make([]byte, size))
			var last *bus.Entry
			took := make([]time.Duration, 0, b.N)
			for i := 0; b.Loop(); i++ {
				if i%64 == 0 { // not to fill the memory
					last = nil
				}
				begin := time.Now()
				last = must(w.Append(b.Context(), frame(testID(i/64), i%64, text), last))(b)
				took = append(took, time.Since(begin))
			}
			report(b, took)
		})
	}
}

// BenchmarkFollow is from the call of Append to the delivery in another process.
func BenchmarkFollow(b *testing.B) {
	url := redistest.Run(b, redistest.Options{}).URL()
	w, r := open(b, Config{URL: url}), open(b, Config{URL: url})
	got := make(chan struct{}, 1)
	stop := must(r.Follow(b.Context(), testID(1), func(*bus.Entry) { got <- struct{}{} }))(b)
	defer stop()
	var last *bus.Entry
	took := make([]time.Duration, 0, b.N)
	for i := 0; b.Loop(); i++ {
		begin := time.Now()
		last = must(w.Append(b.Context(), frame(testID(1), i, "sixteen bytes..."), last))(b)
		<-got
		took = append(took, time.Since(begin))
	}
	report(b, took)
}

// BenchmarkRaw is what Redis does without the bus: XADD, and XREAD BLOCK on a connection of its own.
func BenchmarkRaw(b *testing.B) {
	c := admin(b, redistest.Run(b, redistest.Options{}).URL())
	got, ctx := make(chan struct{}, 1), b.Context()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for at := "0-0"; ; {
			res, err := c.XRead(ctx, &redis.XReadArgs{Streams: []string{"k", at}, Block: time.Second}).Result()
			if ctx.Err() != nil || err != nil && len(res) > 0 {
				return
			}
			for _, s := range res {
				for _, m := range s.Messages {
					at = m.ID
					if _, last := m.Values["last"]; last {
						return
					}
					got <- struct{}{}
				}
			}
		}
	}()
	took := make([]time.Duration, 0, b.N)
	for i := 1; b.Loop(); i++ {
		begin := time.Now()
		rawAdd(b, c, i, "body", "sixteen bytes...")
		<-got
		took = append(took, time.Since(begin))
	}
	rawAdd(b, c, 1<<40, "last", "x")
	<-ended
	report(b, took)
}

func rawAdd(b *testing.B, c *redis.Client, i int, fields ...any) {
	b.Helper()
	must(c.XAdd(b.Context(), &redis.XAddArgs{Stream: "k", ID: fmt.Sprintf("1-%d", i), Values: fields}).Result())(b)
}

// BenchmarkBareAppend is XADD and PUBLISH in one pipeline without the script's checks.
func BenchmarkBareAppend(b *testing.B) {
	c := admin(b, redistest.Run(b, redistest.Options{}).URL())
	took := make([]time.Duration, 0, b.N)
	for i := 1; b.Loop(); i++ {
		begin := time.Now()
		_, err := c.Pipelined(b.Context(), func(p redis.Pipeliner) error {
			p.XAdd(b.Context(), &redis.XAddArgs{Stream: "k", ID: fmt.Sprintf("1-%d", i), Values: []any{"body", "sixteen bytes..."}})
			p.Publish(b.Context(), "c", "sixteen bytes...")

			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begin))
	}
	report(b, took)
}
