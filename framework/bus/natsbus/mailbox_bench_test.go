package natsbus

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/bus"
)

// BenchmarkTurn posts turns of sessions at rest, one after another, and prints the median times of a post and from the
// beginning of the post to the worker that has the letter, beside that of one plain publish to JetStream in the same run.
func BenchmarkTurn(b *testing.B) {
	b.Run("R1", func(b *testing.B) { benchmarkTurn(b, embeddedtest.Run(b).URL()) })
	b.Run("R3", func(b *testing.B) { benchmarkTurn(b, strings.Join(embeddedtest.RunCluster(b).URLs(), ",")) })
}

func benchmarkTurn(b *testing.B, url string) {
	b.Helper()

	poster, worker := open(b, Config{URL: url}), open(b, Config{URL: url})
	started := make(chan time.Time, 1)
	rested := make(chan struct{}, 1)
	stop := work(b, worker, bus.WorkConfig{}, func(ctx context.Context, c bus.Claim) {
		for l, err := c.Next(ctx); l != nil && err == nil; l, err = c.Next(ctx) {
			started <- time.Now()

			if err := c.Done(ctx, l); err != nil {
				b.Error(err)
			}
		}

		rested <- struct{}{}
	})

	var posts, starts, publishes []time.Duration

	for n := 0; b.Loop(); n++ {
		begun := time.Now()
		post(b, poster, "s"+strconv.Itoa(n%100), n, n+1)
		posts = append(posts, time.Since(begun))
		starts = append(starts, (<-started).Sub(begun))
		<-rested

		begun = time.Now()
		must(poster.publish(b.Context(), &nats.Msg{Subject: must(poster.ns.Control("bench"))(b), Data: []byte("x")}))(b)
		publishes = append(publishes, time.Since(begun))
	}

	b.StopTimer()

	if err := stop(); err != nil {
		b.Error(err)
	}

	b.ReportMetric(median(posts), "post-µs")
	b.ReportMetric(median(starts), "post-to-start-µs")
	b.ReportMetric(median(publishes), "publish-µs")
}

// median returns the middle one of some durations in microseconds.
func median(d []time.Duration) float64 {
	slices.Sort(d)

	return float64(d[len(d)/2]) / float64(time.Microsecond)
}
