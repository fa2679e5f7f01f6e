package call_test

import (
	"context"
	"errors"
	"testing"

	"github.com/woodwork-go/woodwork/framework/call"
	"github.com/woodwork-go/woodwork/framework/telemetry"
	"github.com/woodwork-go/woodwork/internal/otlptest"
)

// A call goes on from its turn: one span for each request to an instance, and below it one on the serving side, in whose
// trace the handler is.
func TestACallIsTraced(t *testing.T) {
	collector := otlptest.Start(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)

	tracer, err := telemetry.Open(t.Context(), telemetry.Config{Protocol: telemetry.HTTP})
	if err != nil {
		t.Fatal(err)
	}

	w := setup(t, call.Config{})
	serving := w.open()
	inside := map[string]string{}

	server, err := call.Serve(t.Context(), serving, endpoint("i1"), map[string]call.Handler{
		"do": func(ctx context.Context, in *call.Incoming) error {
			telemetry.Inject(ctx, inside)

			return errors.Join(errors.New("what the user said"), in.Reply(nil))
		},
	}, call.ServerConfig{Tracer: tracer})
	if err != nil {
		t.Fatal(err)
	}

	w.dir.add(call.Instance{Endpoint: endpoint("i1")})

	ctx, turn := tracer.Process(t.Context(), nil, telemetry.Turn{Session: "s", Turn: "t", Component: "asker"})

	r := do()
	r.Session, r.Turn, r.Root = "s", "t", "t"

	if _, err := w.client.Call(ctx, r); err == nil {
		t.Error("the call succeeded")
	}

	turn.EndTurn("completed", nil, false)
	server.Stop(t.Context())
	tracer.Close(t.Context())

	find := func(kind string) otlptest.Span {
		return collector.Wait(t.Context(), t, kind, func(s otlptest.Span) bool { return s.Kind == "SPAN_KIND_"+kind })
	}

	process, asked, served := find("CONSUMER"), find("CLIENT"), find("SERVER")
	if asked.Name != "tool/do" || asked.Parent != process.ID || !asked.Failed || asked.Attributes["woodwork.turn"] != "t" {
		t.Errorf("the request: %+v", asked)
	}

	if served.Parent != asked.ID || !served.Failed || served.Attributes["woodwork.instance"] != "i1" {
		t.Errorf("the serving side: %+v", served)
	}

	if want := "00-" + process.Trace + "-" + served.ID + "-01"; inside["traceparent"] != want {
		t.Errorf("the handler is in %v, want %s", inside, want)
	}
}
