package row

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/woodwork-go/woodwork/bench/lane"
	"github.com/woodwork-go/woodwork/bench/measure"
	"github.com/woodwork-go/woodwork/bench/report"
)

const (
	// talking is how many of the open sessions talk at a time, where there are as many.
	talking = 1000
	// perSecond is how many chunks they send in all.
	perSecond = 5000
	// openers is how many sessions are opened at once.
	openers = 64
	// waking is for how many seconds sessions talk before it counts: those that were quiet for long wake the server's
	// blocks, which it loads from disk. What that takes is shown beside the rest.
	waking = 1
)

// growth opens more and more sessions, each with a writer that has written and a reader that has read, and lets all of
// them talk, or a thousand: what the others cost is what grows.
func growth(ctx context.Context, e *Env, out *report.Report) error {
	steps := []int{1, 10, 100, talking, 3_000, 10_000, 30_000, 100_000}
	if e.Quick {
		steps = []int{talking, 100_000}
	}

	url, err := e.nats(ctx)
	if err != nil {
		return err
	}

	b, err := e.bus(ctx, url)
	if err != nil {
		return err
	}

	w := e.woodwork(b)
	empty := measure.Memory()

	var (
		open  []lane.Lane
		first *grown
		p50   = report.Curve{Name: "p50"}
		p99   = report.Curve{Name: "p99"}
	)

	for _, n := range steps {
		more, err := openMany(ctx, w.Open, n-len(open))
		if err != nil {
			return err
		}

		open = append(open, more...)
		bytes := float64(measure.Memory()-empty) / float64(n)

		g, err := talkSome(ctx, open, e.pick(5, 20))
		if err != nil {
			return err
		}

		p50.Points = append(p50.Points, report.Point{X: float64(n), Y: g.print(out, n, bytes).Value})
		p99.Points = append(p99.Points, report.Point{X: float64(n), Y: millis("", g.took.P(tail)).Value})

		if n == talking {
			first = g
		}

		if n == steps[len(steps)-1] {
			out.Set("growth_cpu_per_chunk_1k_to_100k", float64(g.cpu)/float64(first.cpu))
			out.Set("growth_p99_1k_to_100k", float64(g.took.P(tail))/float64(first.took.P(tail)))
			out.Set("bytes_per_open_session", bytes)
		}
	}

	out.Plots = append(out.Plots, report.Plot{
		File: "latency-by-sessions", Title: "Latency of a hop at 5,000 chunks/s in all", X: "open sessions", Y: "ms",
		Curve: []report.Curve{p50, p99},
	})

	return nil
}

// openMany opens lanes and sends one chunk through each.
func openMany(ctx context.Context, open lane.Opener, n int) ([]lane.Lane, error) {
	lanes := make([]lane.Lane, n)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(openers)

	for i := range lanes {
		group.Go(func() error {
			l, err := open(ctx)
			if err != nil {
				return err
			}

			lanes[i] = l

			if err := l.Send(ctx, []byte(token)); err != nil {
				return fmt.Errorf("send first chunk: %w", err)
			}

			_, err = l.Receive(ctx)

			return err //nolint:wrapcheck // it names the stream
		})
	}

	return lanes, group.Wait() //nolint:wrapcheck // the functions say what they were doing
}

// grown is what chunks took while many sessions were open.
type grown struct {
	waking, took *measure.Latency
	cpu          time.Duration // for each chunk
}

// print adds a line to the table and returns its median.
func (g *grown) print(out *report.Report, open int, bytes float64) report.Figure {
	p50 := millis("p50 ms", g.took.P(median))
	out.Add("5,000 chunks/s among open sessions", fmt.Sprintf("Woodwork, %d open", open), p50, millis("p99 ms", g.took.P(tail)),
		millis("at first p99 ms", g.waking.P(tail)), micros("processor µs/chunk", g.cpu),
		report.Figure{Name: "bytes/session", Value: bytes})

	return p50
}

// talkSome lets evenly chosen sessions talk.
func talkSome(ctx context.Context, open []lane.Lane, seconds int) (*grown, error) {
	var (
		g        = &grown{waking: measure.NewLatency(), took: measure.NewLatency()}
		mu       sync.Mutex // over both
		n        = min(len(open), talking)
		interval = time.Second * time.Duration(n) / perSecond
		first    = waking * perSecond / n
		chunks   = first + seconds*perSecond/n
		step     = len(open) / n
	)

	before, err := measure.CPU()
	if err != nil {
		return nil, err //nolint:wrapcheck // it says what it is about
	}

	group, ctx := errgroup.WithContext(ctx)
	start := time.Now().Add(time.Second)

	for i := range n {
		l, at := open[i*step], start.Add(interval*time.Duration(i)/time.Duration(n))

		group.Go(func() error {
			return measure.Pace(ctx, at, interval, chunks, func(meant time.Time) error { //nolint:wrapcheck // see above
				return l.Send(ctx, measure.Stamp(meant, word)) //nolint:wrapcheck // see above
			})
		})
		group.Go(func() error {
			for c := range chunks {
				data, err := l.Receive(ctx)
				if err != nil {
					return fmt.Errorf("receive: %w", err)
				}

				passed := measure.Since(data)

				mu.Lock()

				if c < first {
					g.waking.Add(passed)
				} else {
					g.took.Add(passed)
				}

				mu.Unlock()
			}

			return nil
		})
	}

	if err := group.Wait(); err != nil {
		return nil, err //nolint:wrapcheck // see above
	}

	after, err := measure.CPU()
	if err != nil {
		return nil, err //nolint:wrapcheck // it says what it is about
	}

	g.cpu = (after - before) / time.Duration(g.waking.Count()+g.took.Count())

	return g, nil
}
