package redisbus

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/internal/redisproc"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

// BenchmarkTurn posts turns of sessions at rest, one after another, and prints the median times of a post and from the
// beginning of the post to the worker that has the letter, beside that of one plain XADD in the same run.
func BenchmarkTurn(b *testing.B) {
	for name, fsync := range map[string]redisproc.Fsync{
		"memory": redistest.NoLog, "everysec": redistest.EverySecond, "always": redistest.Always,
	} {
		b.Run(name, func(b *testing.B) { benchmarkTurn(b, redistest.Run(b, redistest.Options{Fsync: fsync}).URL()) })
	}
}

func benchmarkTurn(b *testing.B, url string) {
	b.Helper()

	poster, worker, plain := open(b, Config{URL: url}), open(b, Config{URL: url}), admin(b, url)
	started := make(chan time.Time, 1)
	rested := make(chan struct{}, 1)
	stop := working(b, worker, bus.WorkConfig{}, func(ctx context.Context, c bus.Claim) {
		for l, err := c.Next(ctx); l != nil && err == nil; l, err = c.Next(ctx) {
			started <- time.Now()

			if err := c.Done(ctx, l); err != nil {
				b.Error(err)
			}
		}

		rested <- struct{}{}
	})

	var posts, starts, adds []time.Duration

	for n := 0; b.Loop(); n++ {
		begun := time.Now()
		posted(b, poster, "s"+strconv.Itoa(n%100), n, n+1)
		posts = append(posts, time.Since(begun))
		starts = append(starts, (<-started).Sub(begun))
		<-rested

		begun = time.Now()
		must(plain.XAdd(b.Context(), &redis.XAddArgs{Stream: "bench", Values: []string{"body", "body"}}).Result())(b)
		adds = append(adds, time.Since(begun))
	}

	b.StopTimer()

	if err := stop(); err != nil {
		b.Error(err)
	}

	for name, d := range map[string][]time.Duration{"post": posts, "post-to-start": starts, "xadd": adds} {
		slices.Sort(d)
		b.ReportMetric(float64(d[len(d)/2])/float64(time.Microsecond), name+"-p50-µs")
		b.ReportMetric(float64(d[len(d)*99/100])/float64(time.Microsecond), name+"-p99-µs")
	}
}
