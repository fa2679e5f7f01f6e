package answer_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/services/llm/answer"
	"github.com/woodwork-go/woodwork/services/llm/provider/offline"
	"github.com/woodwork-go/woodwork/services/llm/provider/providertest"
)

func TestOfflineModelGoesOnBehindWhatADeadInstanceWrote(t *testing.T) {
	t.Parallel()

	words := strings.Repeat("word ", 60)

	for i, prompt := range []string{
		words, words + "ä € 🪵 𐍈 " + words, strings.Repeat("unbroken", 60), words + "bytes \xff\xfe" + words,
	} {
		w := setup(t)
		die := w.startDying(&answer.Settings{Env: environment(nil), Pace: time.Millisecond})
		got := w.watch(w.post("s"+strconv.Itoa(i), prompt), func(text string) {
			if len(text) > 120 {
				die()
			}
		})

		if got.text != offline.Answer(prompt) || got.end.State != bus.Completed {
			t.Errorf("prompt %.20q: got %d bytes, want %d; %+v", prompt, len(got.text), len(offline.Answer(prompt)), got.end)
		}

		if len(got.superseded) > 0 {
			t.Errorf("prompt %.20q: chunks from %v on were superseded", prompt, got.superseded)
		}

		if n, err := strconv.Atoi(got.end.Meta[answer.MetaResumedBytes]); err != nil || n <= 120 || n >= len(got.text) {
			t.Errorf("the end does not say that the answer was resumed: %v", got.end.Meta)
		}
	}
}

// dialogue is a first attempt that says something and dies, and what the second one is asked and answers.
type dialogue struct {
	said    []string
	answers []providertest.Step
}

// hold runs a dialogue with a model of Anthropic and returns what a reader saw.
func (d dialogue) hold(t *testing.T, model string) (watched, *providertest.Server, *world) {
	t.Helper()

	format := providertest.Anthropic()
	first := func(c *providertest.Conn) {
		c.Events()
		c.Send(format.Start(7))

		for _, piece := range d.said {
			c.Send(format.Delta(piece))
		}

		c.Hang()
	}

	w := setup(t)
	server := providertest.New(append([]providertest.Step{first}, d.answers...)...)
	t.Cleanup(server.Close)

	die := w.startDying(&answer.Settings{
		Env: environment(nil), Provider: "anthropic", BaseURL: server.URL(), Model: model,
	})
	got := w.watch(w.post("s", "tell"), func(text string) {
		if text == strings.Join(d.said, "") {
			die()
		}
	})

	return got, server, w
}

// says is a step in which a model of Anthropic says something.
func says(pieces ...string) providertest.Step {
	format := providertest.Anthropic()

	return func(c *providertest.Conn) {
		c.Events()
		c.Send(format.Start(9))

		for _, piece := range pieces {
			c.Send(format.Delta(piece))
		}

		c.Send(format.Finish("end_turn", 9, 4))
	}
}

func TestAnthropicGoesOnBehindTheLastWholeWord(t *testing.T) {
	t.Parallel()

	got, server, w := dialogue{
		said:    []string{"Once", " upon", " a ", "\n"},
		answers: []providertest.Step{says(" a time", "."), says("The end.")},
	}.hold(t, "claude-haiku-4-5")

	if diff := cmp.Diff([]string{"tell", "Once upon"}, said(t, server, 1)); diff != "" {
		t.Errorf("the second attempt asked %s", diff)
	}

	if got.text != "Once upon a time." || got.end.State != bus.Completed {
		t.Errorf("got %q, %+v", got.text, got.end)
	}

	if diff := cmp.Diff([]uint64{2}, got.superseded); diff != "" {
		t.Errorf("superseded: %s", diff)
	}

	want := map[string]string{
		"provider": "anthropic", "model": providertest.Model, "finish_reason": "end_turn", "input_tokens": "9",
		"output_tokens": "4", answer.MetaResumedBytes: "9",
	}
	if diff := cmp.Diff(want, got.end.Meta); diff != "" {
		t.Error(diff)
	}

	w.ask("s", "and?")

	if diff := cmp.Diff([]string{"tell", "Once upon a time.", "and?"}, said(t, server, 2)); diff != "" {
		t.Errorf("the next turn's history: %s", diff)
	}
}

func TestNewerModelsAnswerAnew(t *testing.T) {
	t.Parallel()

	got, server, _ := dialogue{
		said: []string{"Once", " upon"}, answers: []providertest.Step{says("In the beginning")},
	}.hold(t, "claude-opus-5")

	if diff := cmp.Diff([]string{"tell"}, said(t, server, 1)); diff != "" {
		t.Errorf("the second attempt asked %s", diff)
	}

	if diff := cmp.Diff([]uint64{0}, got.superseded); diff != "" || got.text != "In the beginning" {
		t.Errorf("got %q, superseded %s", got.text, diff)
	}

	if resumed, ok := got.end.Meta[answer.MetaResumedBytes]; ok {
		t.Errorf("the end says that %s bytes were resumed", resumed)
	}
}

func TestAModelThatRefusesToGoOnIsAskedForAWholeAnswer(t *testing.T) {
	t.Parallel()

	refuse := func(c *providertest.Conn) {
		c.Refuse(http.StatusBadRequest, providertest.Anthropic().Refusal("invalid_request_error", "no assistant message"))
	}
	got, server, _ := dialogue{
		said: []string{"Once", " upon"}, answers: []providertest.Step{refuse, says("In the beginning")},
	}.hold(t, "claude-haiku-4-5")

	if diff := cmp.Diff([]string{"tell", "Once upon"}, said(t, server, 1)); diff != "" {
		t.Errorf("the second attempt asked %s", diff)
	}

	if diff := cmp.Diff([]string{"tell"}, said(t, server, 2)); diff != "" {
		t.Errorf("then it asked %s", diff)
	}

	if diff := cmp.Diff([]uint64{0}, got.superseded); diff != "" || got.text != "In the beginning" {
		t.Errorf("got %q, superseded %s", got.text, diff)
	}
}

func TestAModelWithNothingToAddCompletesTheAnswer(t *testing.T) {
	t.Parallel()

	got, _, _ := dialogue{
		said: []string{"All", " said."}, answers: []providertest.Step{says()},
	}.hold(t, "claude-haiku-4-5")

	if got.text != "All said." || len(got.superseded) > 0 || got.end.Meta[answer.MetaResumedBytes] != "9" {
		t.Errorf("got %q, superseded %v, %+v", got.text, got.superseded, got.end)
	}
}

// Readers keep what they have until a new answer begins, also when it never does.
func TestAFailureBeforeTheNewAnswerBeginsKeepsTheOldText(t *testing.T) {
	t.Parallel()

	refuse := func(c *providertest.Conn) {
		c.Refuse(http.StatusUnauthorized, providertest.Anthropic().Refusal("authentication_error", "bad key"))
	}
	got, _, _ := dialogue{
		said: []string{"Once", " upon"}, answers: []providertest.Step{refuse},
	}.hold(t, "claude-opus-5")

	if got.text != "Once upon" || len(got.superseded) > 0 || got.end.State != bus.Failed {
		t.Errorf("got %q, superseded %v, %+v", got.text, got.superseded, got.end)
	}
}

func TestChatCompletionsAreAskedAnew(t *testing.T) {
	t.Parallel()

	format := providertest.OpenAI()
	w := setup(t)
	server, s := openAI(t, func(c *providertest.Conn) {
		c.Events()
		c.Send(format.Start(1), format.Delta("dead"))
		c.Hang()
	}, answerWith("alive"))
	die := w.startDying(s)

	got := w.watch(w.post("s", "Q"), func(string) { die() })
	if diff := cmp.Diff([]uint64{0}, got.superseded); diff != "" || got.text != "alive" {
		t.Errorf("got %q, superseded %s", got.text, diff)
	}

	if diff := cmp.Diff([]string{"Q"}, conversation(t, server, 1)); diff != "" {
		t.Errorf("second attempt: %s", diff)
	}
}

// startDying runs the service and returns a function that ends its first attempt as the death of its instance would:
// without an end of the output.
func (w *world) startDying(s *answer.Settings) (die func()) {
	w.t.Helper()

	if err := s.Check(); err != nil {
		w.t.Fatal(err)
	}

	var runs atomic.Int32

	dead := make(chan struct{})
	service := s.Service()
	service.Middleware = []framework.Middleware{func(next framework.Handler) framework.Handler {
		return func(ctx context.Context, turn *framework.Turn) error {
			if runs.Add(1) > 1 {
				return next(ctx, turn)
			}

			ctx, cancel := context.WithCancel(ctx)
			defer cancel()

			go func() {
				defer cancel()

				select {
				case <-dead:
				case <-ctx.Done():
				}
			}()

			if err := next(ctx, turn); err == nil {
				w.t.Error("the first attempt was to die")
			}

			return framework.RetryAfter(time.Millisecond, errTest)
		}
	}}
	w.run(service)

	return sync.OnceFunc(func() { close(dead) })
}

// said returns the texts of the n-th request to Anthropic.
func said(t *testing.T, s *providertest.Server, n int) []string {
	t.Helper()

	var body struct {
		Messages []struct {
			Content []struct {
				Text string `json:"text"`
			} `json:"content"`
		} `json:"messages"`
	}

	decode(t, s, n, &body)

	var texts []string

	for _, m := range body.Messages {
		for _, c := range m.Content {
			texts = append(texts, c.Text)
		}
	}

	return texts
}
