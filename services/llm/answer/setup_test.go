package answer_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/services/llm/answer"
	"github.com/woodwork-go/woodwork/services/llm/provider"
	"github.com/woodwork-go/woodwork/services/llm/provider/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a broker with a client on it.
type world struct {
	t      *testing.T
	cfg    framework.Config
	client *framework.Client
}

func setup(t *testing.T) *world {
	t.Helper()

	cfg := framework.Config{InProcess: embeddedtest.RunInProcess(t), Drain: 5 * time.Second}

	client, err := framework.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := client.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})

	return &world{t: t, cfg: cfg, client: client}
}

// start runs the service and returns a function that stops it and waits; it is also called in the end.
func (w *world) start(s *answer.Settings) (stop func()) {
	w.t.Helper()

	if err := s.Check(); err != nil {
		w.t.Fatal(err)
	}

	return w.run(s.Service())
}

func (w *world) run(service framework.Service) (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)

	go func() { ended <- framework.Run(ctx, service, w.cfg) }()

	stopped := false
	stop = func() {
		if stopped {
			return
		}

		stopped = true

		cancel()

		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	}
	w.t.Cleanup(stop)

	return stop
}

// post posts a prompt and returns the turn.
func (w *world) post(session, prompt string) framework.Ref {
	w.t.Helper()

	ref, err := w.client.Post(w.t.Context(), framework.Post{Session: session, Component: answer.Name}, []byte(prompt))
	if err != nil {
		w.t.Fatal(err)
	}

	return ref
}

// read returns the visible text of a turn's answer and its end.
func (w *world) read(ref framework.Ref) (string, stream.End) {
	w.t.Helper()

	got := w.watch(ref, nil)

	return got.text, got.end
}

// watched is what a reader saw of an answer: its text in the end, and from which chunks on it was superseded.
type watched struct {
	text       string
	superseded []uint64
	end        stream.End
}

// watch reads a turn's answer to its end and calls seen, unless it is nil, with the visible text after each chunk.
func (w *world) watch(ref framework.Ref, seen func(text string)) watched {
	w.t.Helper()

	follower, err := w.client.Follow(w.t.Context(), stream.FollowConfig{Session: ref.Session})
	if err != nil {
		w.t.Fatal(err)
	}
	defer follower.Close()

	var (
		got    watched
		chunks []string
	)

	for {
		event, err := follower.Next(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}

		if event.Info.Root != ref.Turn {
			continue
		}

		switch event.Event.Kind {
		case stream.KindChunk:
			chunks = append(chunks, string(event.Event.Chunk.Data))

			if seen != nil {
				seen(strings.Join(chunks, ""))
			}
		case stream.KindSuperseded:
			chunks = chunks[:event.Event.From]
			got.superseded = append(got.superseded, event.Event.From)
		case stream.KindOpened:
		case stream.KindEnd:
			got.text, got.end = strings.Join(chunks, ""), event.Event.End

			return got
		}
	}
}

// ask posts a prompt and returns its whole answer.
func (w *world) ask(session, prompt string) string {
	w.t.Helper()

	text, end := w.read(w.post(session, prompt))
	if end.State != bus.Completed {
		w.t.Fatalf("the answer ended as %s: %s", end.State, end.Reason)
	}

	return text
}

// openAI returns settings that ask a provider with the steps.
func openAI(t *testing.T, steps ...providertest.Step) (*providertest.Server, *answer.Settings) {
	t.Helper()

	s := providertest.New(steps...)
	t.Cleanup(s.Close)

	return s, &answer.Settings{
		Env: environment(nil), BaseURL: s.URL(), Model: "asked",
		Retry: provider.Retry{Attempts: 2, Backoff: time.Millisecond},
	}
}

func environment(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

var errTest = errors.New("test")

// await returns when the visible text of a turn's answer satisfies the condition.
func (w *world) await(ref framework.Ref, enough func(text string) bool) {
	w.t.Helper()

	follower, err := w.client.Follow(w.t.Context(), stream.FollowConfig{Session: ref.Session})
	if err != nil {
		w.t.Fatal(err)
	}
	defer follower.Close()

	for text := ""; !enough(text); {
		event, err := follower.Next(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}

		if event.Info.Root == ref.Turn && event.Event.Kind == stream.KindChunk {
			text += string(event.Event.Chunk.Data)
		}
	}
}
