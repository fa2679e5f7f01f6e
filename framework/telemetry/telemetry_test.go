package telemetry_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/framework/telemetry"
	"github.com/woodwork-go/woodwork/internal/otlptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for _, pair := range pairs {
			if key, value, _ := strings.Cut(pair, "="); key == name {
				return value
			}
		}

		return ""
	}
}

const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318"

func TestTracesAreOffUnlessAskedFor(t *testing.T) {
	t.Parallel()

	for want, envs := range map[string][]func(string) string{
		"": {
			environment(), environment("OTEL_TRACES_EXPORTER=none", endpoint), environment("OTEL_SDK_DISABLED=true", endpoint),
			environment("OTEL_TRACES_SAMPLER=nonsense"),
		},
		telemetry.HTTP: {environment(endpoint), environment("OTEL_TRACES_EXPORTER=otlp")},
		telemetry.GRPC: {
			environment(endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"),
			environment(endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc"),
		},
	} {
		for i, env := range envs {
			if got, err := telemetry.FromEnv(env); err != nil || got.Protocol != want {
				t.Errorf("environment %d: %q, %v; want %q", i, got.Protocol, err, want)
			}
		}
	}
}

func TestMistakesInTheEnvironmentAreNamed(t *testing.T) {
	t.Parallel()

	for _, mistake := range []string{
		"OTEL_TRACES_EXPORTER=zipkin", "OTEL_SDK_DISABLED=maybe", "OTEL_EXPORTER_OTLP_PROTOCOL=http/json",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=collector:4318", "OTEL_EXPORTER_OTLP_HEADERS=hush",
		"OTEL_EXPORTER_OTLP_TIMEOUT=10s", "OTEL_EXPORTER_OTLP_INSECURE=1", "OTEL_EXPORTER_OTLP_COMPRESSION=brotli",
		"OTEL_RESOURCE_ATTRIBUTES=hush", "OTEL_TRACES_SAMPLER=sometimes", "OTEL_TRACES_SAMPLER_ARG=2",
		"OTEL_BSP_SCHEDULE_DELAY=-1",
	} {
		name, value, _ := strings.Cut(mistake, "=")

		_, err := telemetry.FromEnv(environment(mistake, endpoint))
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", mistake, err)
		} else if value == "hush" && strings.Contains(err.Error(), value) {
			t.Errorf("%s: the error shows the value: %v", name, err)
		}
	}
}

// exercise calls everything that is on the way of a stream.
func exercise(ctx context.Context, tracer *telemetry.Tracer, request *http.Request) {
	about := telemetry.Stream{Session: "s", Stream: "t", Component: "input", Target: "llm", Attempt: 1}
	_, served := tracer.Request(request)
	served.Answered(http.StatusAccepted)
	served.End()

	sent := tracer.Send(ctx, nil, about)
	sent.FirstChunk()
	sent.Follows(ctx, nil)

	inner, turn := tracer.Process(ctx, sent.Trace(nil), telemetry.Turn{Session: "s", Turn: "t", Component: "llm"})
	turn.Attempt(inner, 1, nil)

	_, asking := telemetry.Ask(inner, telemetry.Question{Provider: "p", Model: "m"})
	asking.Piece()
	asking.End(telemetry.Answer{}, "")
	turn.EndTurn("completed", nil, false)

	reading := tracer.Read(ctx, about)
	reading.Attempt(1, sent.Trace(nil))
	reading.Chunk()
	reading.Superseded(0)
	reading.End("completed")
	sent.EndStream("completed", 1, nil)
}

func TestOffIsFree(t *testing.T) { //nolint:paralleltest // AllocsPerRun must run alone
	var (
		tracer  *telemetry.Tracer
		ctx     = t.Context()
		request = httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
	)

	if got := testing.AllocsPerRun(1000, func() { exercise(ctx, tracer, request) }); got != 0 {
		t.Errorf("with tracing off there are %v allocations", got)
	}

	tracer.Close(ctx)

	if tracer.On("nats") != nil {
		t.Error("off does not stay off")
	}
}

// open opens a tracer that exports to url. The exporter has its address from the environment.
func open(t *testing.T, url string, cfg telemetry.Config) *telemetry.Tracer {
	t.Helper()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1")

	cfg.Protocol = cmp.Or(cfg.Protocol, telemetry.HTTP)

	tracer, err := telemetry.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}

	return tracer
}

func TestSpansReachACollector(t *testing.T) { //nolint:paralleltest // sets the environment
	collector := otlptest.Start(t)
	tracer := open(t, collector.URL, telemetry.Config{Service: "svc", Namespace: "app"})
	ctx := t.Context()
	nats := tracer.On("nats")

	first := nats.Send(ctx, nil, telemetry.Stream{Session: "s", Stream: "t", Component: "llm", Attempt: 1})
	second := nats.Send(ctx, first.Trace(nil), telemetry.Stream{Session: "s", Stream: "t", Component: "llm", Attempt: 2})
	second.Follows(ctx, first.Trace(nil))

	reading := nats.Read(ctx, telemetry.Stream{Session: "s", Stream: "t", Component: "llm"})
	reading.Attempt(1, first.Trace(nil))
	reading.Chunk()
	reading.Superseded(0)
	reading.Attempt(2, second.Trace(nil))
	reading.End("failed")
	reading.End("completed")

	first.EndStream(telemetry.Broken, 1, fmt.Errorf("store: %w", errors.New("the user said hush")))
	second.EndStream("cancelled", 3, nil)
	tracer.Close(ctx)
	tracer.Close(ctx)

	find := func(name, attempt string) otlptest.Span {
		return collector.Wait(ctx, t, name, func(s otlptest.Span) bool {
			return s.Name == name && s.Attributes["woodwork.attempt"] == attempt
		})
	}

	one, two, read := find("send output", "1"), find("send output", "2"), find("receive output", "2")
	if !one.Failed || one.Attributes["error.type"] != "_OTHER" || one.Resource["service.namespace"] != "app" {
		t.Errorf("the broken attempt: %+v", one)
	}

	if two.Failed || two.Parent != one.ID || len(two.Links) != 1 || two.Links[0] != one.ID || two.Events[0] != "cancelled" {
		t.Errorf("the second attempt: %+v", two)
	}

	if !read.Failed || read.Parent != two.ID || read.Links[0] != one.ID ||
		strings.Join(read.Events, ",") != "first chunk,superseded,failed" || read.Attributes["messaging.system"] != "nats" {
		t.Errorf("the reader: %+v", read)
	}

	if bytes.Contains(collector.Raw(), []byte("hush")) {
		t.Error("the text of an error was exported")
	}
}

func TestSpansReachACollectorOverGRPC(t *testing.T) { //nolint:paralleltest // sets the environment
	collector := otlptest.StartGRPC(t)
	tracer := open(t, collector.URL, telemetry.Config{Protocol: telemetry.GRPC, Service: "svc"})

	_, span := tracer.Process(t.Context(), nil, telemetry.Turn{Component: "llm"})
	span.EndTurn("completed", nil, false)
	tracer.Close(t.Context())

	collector.Wait(t.Context(), t, "the turn", func(s otlptest.Span) bool {
		return s.Name == "process llm" && s.Resource["service.name"] == "svc"
	})
}

// counted is a log whose lines are counted.
type counted struct {
	mu    sync.Mutex
	lines []string
}

func (c *counted) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.lines = append(c.lines, string(p))

	return len(p), nil
}

// A collector that refuses everything is logged once.
func TestACollectorThatFailsIsLoggedOnce(t *testing.T) { //nolint:paralleltest // sets the environment
	refused := make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		refused <- struct{}{}
	}))
	t.Cleanup(server.Close)

	log := &counted{}
	tracer := open(t, server.URL, telemetry.Config{Logger: zerolog.New(log)})

	for range 3 {
		_, span := tracer.Process(t.Context(), nil, telemetry.Turn{Component: "llm"})
		span.EndTurn("completed", nil, false)
		<-refused
	}

	tracer.Close(t.Context())

	if len(log.lines) != 1 || !strings.Contains(log.lines[0], "OTEL_EXPORTER_OTLP_ENDPOINT") {
		t.Errorf("the log says %q", log.lines)
	}
}

func TestTraceContextTravels(t *testing.T) { //nolint:paralleltest // sets the environment
	tracer := open(t, otlptest.Start(t).URL, telemetry.Config{})
	defer tracer.Close(t.Context())

	header := map[string]string{}
	telemetry.Inject(t.Context(), header)

	if len(header) > 0 {
		t.Errorf("there is a trace context out of nothing: %v", header)
	}

	caller := map[string]string{
		"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "vendor=1",
	}

	ctx, span := tracer.Process(t.Context(), caller, telemetry.Turn{Component: "llm"})
	defer span.End()

	telemetry.Inject(ctx, header)

	if !strings.HasPrefix(header["traceparent"], "00-4bf92f3577b34da6a3ce929d0e0e4736-") || header["tracestate"] != "vendor=1" ||
		header["traceparent"] == caller["traceparent"] {
		t.Errorf("the turn goes on with %v", header)
	}

	var line bytes.Buffer

	log := telemetry.Logger(telemetry.Extract(t.Context(), caller), zerolog.New(&line))
	log.Info().Msg("hello")

	if !strings.Contains(line.String(), `"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7"`) {
		t.Errorf("the line is %s", &line)
	}
}
