package row

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/framework/telemetry"

	"github.com/woodwork-go/woodwork/bench/lane"
	"github.com/woodwork-go/woodwork/bench/measure"
	"github.com/woodwork-go/woodwork/bench/report"
)

// chunksInAnswer is how long a stream is: about what a language model says. A span is for a stream, not for a chunk.
const chunksInAnswer = 100

// tracing compares the processor time of streams whose spans are exported, over HTTP, with that of streams without.
func tracing(ctx context.Context, e *Env, out *report.Report) error {
	url, err := e.nats(ctx)
	if err != nil {
		return err
	}

	b, err := e.bus(ctx, url)
	if err != nil {
		return err
	}

	tracer, exported, err := e.tracer(ctx)
	if err != nil {
		return err
	}

	systems := []*spent{
		{name: "Woodwork, without traces", open: e.woodwork(b).Open},
		{name: "Woodwork, traces exported", open: e.traced(b, tracer).Open},
	}

	for range e.pick(10, 30) {
		for _, s := range systems {
			if err := s.answers(ctx, e.pick(20, 50)); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}

	tracer.Close(ctx)

	if exported.Load() == 0 {
		return fmt.Errorf("the collector got nothing: %w", errIncomplete)
	}

	for _, s := range systems {
		out.Add("streams of 100 chunks", s.name, micros("processor µs/chunk", s.perChunk()))
	}

	out.Set("telemetry_on_vs_off", float64(systems[1].perChunk())/float64(systems[0].perChunk()))

	return nil
}

// tracer exports to a collector in this process that takes everything, and counts its requests.
func (e *Env) tracer(ctx context.Context) (*telemetry.Tracer, *atomic.Int64, error) {
	exported := new(atomic.Int64)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		exported.Add(1)
		_, _ = io.Copy(io.Discard, r.Body) // what breaks off was not exported
	}))
	e.onClose(func() error {
		collector.Close()

		return nil
	})

	if err := os.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL); err != nil {
		return nil, nil, fmt.Errorf("set the collector's address: %w", err)
	}

	tracer, err := telemetry.Open(ctx, telemetry.Config{Protocol: telemetry.HTTP, Service: "bench"})
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // it says which setting is wrong
	}

	return tracer, exported, nil
}

// traced opens the lanes of a bus whose streams have spans.
func (e *Env) traced(b bus.Bus, tracer *telemetry.Tracer) *lane.Woodwork {
	w := lane.ConfigureWoodwork(b, stream.Config{Tracer: tracer})
	e.onClose(func() error {
		w.Close()

		return nil
	})

	return w
}

// spent is the processor time of a system.
type spent struct {
	name   string
	open   lane.Opener
	cpu    time.Duration
	chunks int
}

func (s *spent) perChunk() time.Duration { return s.cpu / time.Duration(s.chunks) }

// answers writes and reads streams, one after the other.
func (s *spent) answers(ctx context.Context, n int) error {
	before, err := measure.CPU()
	if err != nil {
		return err //nolint:wrapcheck // it says what it is about
	}

	for range n {
		l, err := s.open(ctx)
		if err != nil {
			return err //nolint:wrapcheck // it names the stream
		}

		if err := pingPong(ctx, l, chunksInAnswer, measure.NewLatency()); err != nil {
			return err
		}

		if err := l.Close(ctx); err != nil {
			return err //nolint:wrapcheck // the caller says which system it was
		}
	}

	after, err := measure.CPU()
	s.cpu, s.chunks = s.cpu+after-before, s.chunks+n*chunksInAnswer

	return err //nolint:wrapcheck // it says what it is about
}
