package main_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/internal/otlptest"
	"github.com/woodwork-go/woodwork/services/llm/provider/offline"
)

const (
	tracedPrompt = "Xylophone quartz jumbled vividly while the zebra wondered about sphinxes of black basalt."
	// callerTrace and callerSpan are what the request comes with.
	callerTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callerSpan  = "00f067aa0ba902b7"
)

// TestOneTraceThroughProcesses follows a prompt from a request through input, llm and output to a reader, as separate
// processes, while the first llm is killed in the middle of its answer. The spans arrive at a collector, are one trace
// with the links that they should have, and hold nothing of what was said.
func TestOneTraceThroughProcesses(t *testing.T) {
	t.Parallel()

	collector := otlptest.Start(t)
	server := embeddedtest.Run(t).URL()
	in, out := freeAddress(t), freeAddress(t)
	env := []string{
		"NATS_URL=" + server, "WOODWORK_PACE=40ms", "WOODWORK_LOG_FORMAT=json",
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.URL, "OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20sesame",
		"OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test",
	}

	input := start(t, nil, env, "woodwork-input", "-http", in, "-events-url", "http://"+out)
	output := start(t, nil, env, "woodwork-output", "-http", out)
	killed := start(t, nil, env, "woodwork-llm")

	seen := followAnswer(t, server)
	postTraced(t, "http://"+in+"/v1/sessions/observed/turns")

	shown := events(t, "http://"+out+"/v1/sessions/observed/events")
	before := seen.chunks(5)

	llm := start(t, nil, env, "woodwork-llm")

	killed.signal(syscall.SIGKILL)
	seen.end(offline.Answer(tracedPrompt))
	shown.until(`"state":"completed"`)

	for _, p := range []*process{output, llm, input} { // what they have to export goes out before they end
		if code := p.terminate(); code != 0 {
			t.Errorf("%s exited with %d", p.name, code)
		}
	}

	checkTree(t, collector, before)
	checkSilence(t, collector)

	for _, want := range []string{
		`"trace_id":"` + callerTrace + `"`, `"span_id":"`, `"session":"observed"`, `"attempt":2`, `"component":"llm"`,
	} {
		if log := llm.stderr.String(); !strings.Contains(log, want) {
			t.Errorf("no line of llm's log holds %s:\n%s", want, log)
		}
	}
}

// checkTree checks every span of the prompt's trace. before is the span of the attempt that was killed.
func checkTree(t *testing.T, collector *otlptest.Receiver, before string) {
	t.Helper()

	span := func(name string) otlptest.Span {
		return collector.Wait(t.Context(), t, name, func(s otlptest.Span) bool { return s.Name == name })
	}
	links := func(name string) []string { return span(name).Links }

	request, sent := span("POST /v1/sessions/{session}/turns"), span("send llm")
	turn, answer := span("process llm"), span("send output")

	var got []string

	for _, s := range []otlptest.Span{request, sent, turn, span("chat offline"), answer, span("receive output")} {
		if s.Trace != callerTrace {
			t.Errorf("%s is in trace %s, want %s", s.Name, s.Trace, callerTrace)
		}

		if s.Failed || s.Resource["deployment.environment.name"] != "test" {
			t.Errorf("%+v", s)
		}

		got = append(got, s.Name+" "+s.Kind+" "+s.Resource["service.name"]+" below "+s.Parent)
	}

	want := []string{
		"POST /v1/sessions/{session}/turns SPAN_KIND_SERVER input below " + callerSpan,
		"send llm SPAN_KIND_PRODUCER input below " + request.ID,
		"process llm SPAN_KIND_CONSUMER llm below " + sent.ID,
		"chat offline SPAN_KIND_CLIENT llm below " + turn.ID,
		"send output SPAN_KIND_PRODUCER llm below " + turn.ID,
		"receive output SPAN_KIND_CONSUMER output below " + answer.ID,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the trace (-want +got):\n%s", diff)
	}

	for _, name := range []string{"process llm", "send output", "receive output"} {
		if !slices.Contains(links(name), before) {
			t.Errorf("%s links to %v, want the killed attempt's span %s among them", name, links(name), before)
		}
	}

	reading := collector.Wait(t.Context(), t, "the request for events", func(s otlptest.Span) bool {
		return s.Name == "GET /v1/sessions/{session}/events"
	})
	if !slices.Contains(links("receive output"), reading.ID) {
		t.Errorf("receive output links to %v, want the request %s among them", links("receive output"), reading.ID)
	}

	checkAttributes(t, turn, map[string]string{
		"messaging.system": "nats", "messaging.operation.name": "process", "messaging.consumer.group.name": "llm",
		"messaging.message.conversation_id": "observed", "woodwork.attempt": "2", "woodwork.outcome": "completed",
	})
	checkAttributes(t, answer, map[string]string{
		"messaging.operation.name": "send", "messaging.destination.name": "output", "woodwork.attempt": "2",
		"woodwork.outcome": "completed",
	})
	checkAttributes(t, span("chat offline"), map[string]string{
		"gen_ai.operation.name": "chat", "gen_ai.provider.name": "offline", "gen_ai.request.model": "offline",
		"gen_ai.response.finish_reasons": "stop", "gen_ai.conversation.id": "observed",
	})
	checkAttributes(t, request, map[string]string{"http.response.status_code": "202", "http.request.method": "POST"})

	for _, key := range []string{
		"gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.response.time_to_first_chunk",
	} {
		if span("chat offline").Attributes[key] == "" {
			t.Errorf("the model's span has no %s", key)
		}
	}

	if got := answer.Events; !slices.Contains(got, "first chunk") {
		t.Errorf("the events of the answer's span are %v", got)
	}

	if n := len(collector.Spans()); n > 12 {
		t.Errorf("%d spans; one for each token?", n)
	}
}

func checkAttributes(t *testing.T, s otlptest.Span, want map[string]string) {
	t.Helper()

	for key, value := range want {
		if s.Attributes[key] != value {
			t.Errorf("%s: %s=%q, want %q", s.Name, key, s.Attributes[key], value)
		}
	}
}

// checkSilence looks for what was said, and for secrets, in all that reached the collector.
func checkSilence(t *testing.T, collector *otlptest.Receiver) {
	t.Helper()

	raw := collector.Raw()
	for _, word := range append(strings.Fields(tracedPrompt)[:4], "sphinxes", "language model is configured", "sesame") {
		if bytes.Contains(raw, []byte(word)) {
			t.Errorf("%q was exported", word)
		}
	}
}

// tracedAnswer is the answer as a reader with a connection of its own sees it.
type tracedAnswer struct {
	t      *testing.T
	follow *stream.Follower
	text   []string
}

func followAnswer(t *testing.T, server string) *tracedAnswer {
	t.Helper()

	client, err := framework.Connect(t.Context(), framework.Config{URL: server})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = client.Close(t.Context()) })

	f, err := client.Follow(t.Context(), stream.FollowConfig{Session: "observed"})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(f.Close)

	return &tracedAnswer{t: t, follow: f}
}

// next reads an event and returns how the stream ended, or nil.
func (a *tracedAnswer) next() *stream.End {
	a.t.Helper()

	e, err := a.follow.Next(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}

	switch e.Event.Kind {
	case stream.KindChunk:
		a.text = append(a.text, string(e.Event.Chunk.Data))
	case stream.KindSuperseded:
		a.text = a.text[:e.Event.From]
	case stream.KindEnd:
		return &e.Event.End
	case stream.KindOpened:
	}

	return nil
}

// chunks reads until there are n chunks and returns the span of the attempt that wrote them.
func (a *tracedAnswer) chunks(n int) string {
	a.t.Helper()

	for len(a.text) < n {
		if a.next() != nil {
			a.t.Fatalf("the answer ended after %d chunks", len(a.text))
		}
	}

	parts := strings.Split(a.follow.Trace()["traceparent"], "-")
	if len(parts) != 4 || parts[1] != callerTrace {
		a.t.Fatalf("the stream's trace context is %v", a.follow.Trace())
	}

	return parts[2]
}

func (a *tracedAnswer) end(want string) {
	a.t.Helper()

	var end *stream.End
	for end == nil {
		end = a.next()
	}

	if got := strings.Join(a.text, ""); got != want || end.State != bus.Completed {
		a.t.Errorf("the answer is %q (%s), want %q", got, end.State, want)
	}
}

// postTraced posts the prompt as a part of the caller's trace, again while the server is not there yet.
func postTraced(t *testing.T, url string) {
	t.Helper()

	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

	for {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(tracedPrompt))
		if err != nil {
			t.Fatal(err)
		}

		r.Header.Set("Traceparent", "00-"+callerTrace+"-"+callerSpan+"-01")

		response, err := client.Do(r)
		if errors.Is(err, syscall.ECONNREFUSED) {
			continue
		}

		if err != nil {
			t.Fatal(err)
		}

		answer, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()

		if response.StatusCode != http.StatusAccepted {
			t.Fatalf("%s: %s", response.Status, answer)
		}

		return
	}
}
