package affinity_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/affinity"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
)

// BenchmarkTurn posts letters one after another, in sessions that each have been served before, and prints the median time
// from the post to the instance that has the letter: without a preference, and where every second one, about, has to be
// handed over between two instances.
func BenchmarkTurn(b *testing.B) {
	for name, prefer := range map[string]bool{"none": false, "preferred": true} {
		b.Run(name, func(b *testing.B) { benchmarkTurn(b, prefer) })
	}
}

func benchmarkTurn(b *testing.B, prefer bool) {
	b.Helper()

	server := embeddedtest.RunInProcess(b)
	begun, rested := make(chan time.Time), make(chan struct{})

	open := func() bus.Bus {
		x, err := natsbus.Open(b.Context(), natsbus.Config{InProcess: server})
		if err != nil {
			b.Fatal(err)
		}

		b.Cleanup(func() { _ = x.Close(context.WithoutCancel(b.Context())) })

		return x
	}

	for i := range 2 {
		x := open()
		if prefer {
			x = affinity.New(x, affinity.Config{Instance: strconv.Itoa(i)})
		}

		go func() {
			err := x.Work(b.Context(), component, bus.WorkConfig{}, func(ctx context.Context, c bus.Claim) {
				for l, err := c.Next(ctx); l != nil && err == nil; l, err = c.Next(ctx) {
					begun <- time.Now()

					_ = c.Done(ctx, l)
				}

				rested <- struct{}{}
			})
			if err != nil && !errors.Is(err, bus.ErrClosed) {
				b.Error(err)
			}
		}()
	}

	user := open()

	var took []time.Duration

	for n := 0; b.Loop(); n++ {
		start := time.Now()
		if err := user.Post(b.Context(), &bus.Letter{
			ID: strconv.Itoa(n), Component: component, Session: strconv.Itoa(n % 50),
		}); err != nil {
			b.Fatal(err)
		}

		took = append(took, (<-begun).Sub(start))
		<-rested
	}

	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2])/float64(time.Microsecond), "post-to-start-p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100])/float64(time.Microsecond), "post-to-start-p99-µs")
}
