package row

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/woodwork-go/woodwork/bench/lane"
	"github.com/woodwork-go/woodwork/bench/report"
)

// throughput measures how fast one sender and one receiver get through a stream.
func throughput(ctx context.Context, e *Env, out *report.Report) error {
	url, err := e.nats(ctx)
	if err != nil {
		return err
	}

	raw, err := e.raw(ctx, url, 1)
	if err != nil {
		return err
	}

	b, err := e.bus(ctx, url)
	if err != nil {
		return err
	}

	watermill, err := lane.WatermillNATS(url)
	if err != nil {
		return err
	}

	e.onClose(watermill.Close)

	runs := []*run{
		{name: "raw JetStream, PublishAsync and ordered consumer", open: raw.Async(len(token)), messages: e.pick(20_000, 100_000)},
		{name: "Woodwork on JetStream", open: e.woodwork(b).Open, messages: e.pick(500_000, 2_000_000)},
		{name: "Watermill on JetStream", open: watermill.Open, messages: e.pick(2_000, 10_000)},
	}

	for range e.pick(3, 7) {
		for _, r := range runs {
			if err := r.once(ctx); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}

	for _, r := range runs {
		out.Add("throughput of one stream", r.name, report.Figure{Name: "messages/s", Value: r.rate()})
	}

	out.Set("stream_throughput_vs_raw_async", runs[1].rate()/runs[0].rate())
	out.Set("stream_throughput_vs_watermill_jetstream", runs[1].rate()/runs[2].rate())

	return nil
}

// run measures the throughput of one system.
type run struct {
	name     string
	open     lane.Opener
	messages int
	size     int // of a message in bytes; 0 is that of a token
	rates    []float64
}

// message is what is sent.
func (r *run) message() []byte {
	if r.size == 0 {
		return []byte(token)
	}

	return make([]byte, r.size)
}

// rate is the median of all rounds, in messages per second.
func (r *run) rate() float64 {
	slices.Sort(r.rates)

	return r.rates[len(r.rates)/2]
}

// once sends everything as fast as the lane takes it, and ends when all of it has arrived.
func (r *run) once(ctx context.Context) error {
	l, err := r.open(ctx)
	if err != nil {
		return err
	}

	received := make(chan error, 1)
	begun := time.Now()

	go func() {
		for range r.messages {
			if _, err := l.Receive(ctx); err != nil {
				received <- fmt.Errorf("receive: %w", err)

				return
			}
		}

		received <- nil
	}()

	message := r.message()
	for range r.messages {
		if err := l.Send(ctx, message); err != nil {
			return fmt.Errorf("send: %w", err)
		}
	}

	if err := <-received; err != nil {
		return err
	}

	r.rates = append(r.rates, float64(r.messages)/time.Since(begun).Seconds())

	return l.Close(ctx) //nolint:wrapcheck // the caller says which system it was
}

// sizes measures the throughput of a stream over the size of its chunks.
func sizes(ctx context.Context, e *Env, out *report.Report) error {
	const most = 256 << 20 // bytes of one round

	url, err := e.nats(ctx)
	if err != nil {
		return err
	}

	raw, err := e.raw(ctx, url, 1)
	if err != nil {
		return err
	}

	b, err := e.bus(ctx, url)
	if err != nil {
		return err
	}

	floor, ours := report.Curve{Name: "raw JetStream"}, report.Curve{Name: "Woodwork"}
	open := e.woodwork(b).Open

	for _, size := range []int{16, 64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10} {
		runs := []*run{
			{name: floor.Name, open: raw.Async(size), size: size, messages: min(e.pick(5_000, 20_000), most/size)},
			{name: ours.Name, open: open, size: size, messages: min(e.pick(50_000, 200_000), most/size)},
		}

		for _, r := range runs {
			if err := r.once(ctx); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}

			out.Add(fmt.Sprintf("throughput of one stream, chunks of %d bytes", size), r.name,
				report.Figure{Name: "messages/s", Value: r.rate()}, report.Figure{Name: "MB/s", Value: r.rate() * float64(size) / 1e6})
		}

		floor.Points = append(floor.Points, report.Point{X: float64(size), Y: runs[0].rate() * float64(size) / 1e6})
		ours.Points = append(ours.Points, report.Point{X: float64(size), Y: runs[1].rate() * float64(size) / 1e6})
	}

	out.Plots = append(out.Plots, report.Plot{
		File: "throughput-by-chunk-size", Title: "Throughput of one stream", X: "bytes in a chunk", Y: "MB/s",
		Curve: []report.Curve{ours, floor},
	})

	return nil
}
