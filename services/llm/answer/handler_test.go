package answer_test

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/services/llm/answer"
	"github.com/woodwork-go/woodwork/services/llm/provider/offline"
	"github.com/woodwork-go/woodwork/services/llm/provider/providertest"
)

func TestOfflineModelAnswersByteForByte(t *testing.T) {
	t.Parallel()

	w := setup(t)
	w.start(&answer.Settings{Env: environment(nil)})

	for i, prompt := range []string{
		"hello", "two\nlines\r\n\twith tabs", "ä € 🪵 𐍈", "\x00\x01\x7f control", "invalid \xff\xfe bytes",
		strings.Repeat("long ", 20_000),
	} {
		if got := w.ask("s"+strconv.Itoa(i), prompt); got != offline.Answer(prompt) {
			t.Errorf("prompt %.20q: got %d bytes, want %d", prompt, len(got), len(offline.Answer(prompt)))
		}
	}
}

func TestFinalFrameSaysWhatTheAnswerCost(t *testing.T) {
	t.Parallel()

	format := providertest.OpenAI()
	w := setup(t)
	_, s := openAI(t, func(c *providertest.Conn) {
		c.Events()
		c.Send(format.Start(1), format.Delta("yes"), format.Finish("stop", 11, 3))
	})
	w.start(s)

	text, end := w.read(w.post("s", "is it?"))
	if text != "yes" || end.State != bus.Completed {
		t.Errorf("got %q, %+v", text, end)
	}

	want := map[string]string{
		"provider": "openai", "model": providertest.Model, "finish_reason": "stop", "input_tokens": "11", "output_tokens": "3",
	}
	if diff := cmp.Diff(want, end.Meta); diff != "" {
		t.Error(diff)
	}
}

func TestTokensReachTheReaderWhileTheModelIsStillSpeaking(t *testing.T) {
	t.Parallel()

	format := providertest.OpenAI()
	w := setup(t)
	seen := make(chan struct{})
	_, s := openAI(t, func(c *providertest.Conn) {
		c.Events()
		c.Send(format.Start(1), format.Delta("first"))

		if c.Wait(seen) {
			c.Send(format.Delta(" second"), format.Finish("stop", 1, 2))
		}
	})
	w.start(s)

	ref := w.post("s", "go")
	w.await(ref, func(text string) bool { return text == "first" })
	close(seen)

	if text, _ := w.read(ref); text != "first second" {
		t.Errorf("got %q", text)
	}
}

func TestEmptyPromptFailsWithTheReason(t *testing.T) {
	t.Parallel()

	w := setup(t)
	w.start(&answer.Settings{Env: environment(nil)})

	if text, end := w.read(w.post("s", " \n\t")); text != "" || end.State != bus.Failed ||
		!strings.Contains(end.Reason, "the prompt is empty") {
		t.Errorf("got %q, %+v", text, end)
	}
}

func TestFailureInTheMiddleKeepsThePartialText(t *testing.T) {
	t.Parallel()

	format := providertest.OpenAI()
	w := setup(t)
	server, s := openAI(t, func(c *providertest.Conn) {
		c.Events()
		c.Send(format.Start(1), format.Delta("so "), format.Delta("far"))
		c.Cut()
	}, answerWith("fine"))
	w.start(s)

	text, end := w.read(w.post("s", "go"))
	if text != "so far" || end.State != bus.Failed || !strings.Contains(end.Reason, "in the middle of the answer") ||
		end.Meta["provider"] != "openai" {
		t.Errorf("got %q, %+v", text, end)
	}

	if n := len(server.Requests()); n != 1 {
		t.Errorf("%d requests, want no second try", n)
	}

	if text := w.ask("s", "again"); text != "fine" {
		t.Errorf("the session's next answer is %q", text)
	}

	if got := conversation(t, server, 1); len(got) != 1 {
		t.Errorf("the failed exchange is remembered: %q", got)
	}
}

func TestFailureBeforeTheFirstTokenIsRetriedThenReported(t *testing.T) {
	t.Parallel()

	format := providertest.OpenAI()
	busy := func(c *providertest.Conn) { c.Refuse(500, format.Refusal("server_error", "oops")) }
	broken := func(c *providertest.Conn) { c.Refuse(502, format.Refusal("server_error", "oops")) }

	w := setup(t)
	_, s := openAI(t, busy, answerWith("fine"), broken)
	w.start(s)

	if text := w.ask("s", "one"); text != "fine" {
		t.Errorf("got %q", text)
	}

	if text, end := w.read(w.post("s", "two")); text != "" || end.State != bus.Failed || !strings.Contains(end.Reason, "oops") {
		t.Errorf("got %q, %+v", text, end)
	}
}

func TestHistoryGoesWithEachPromptAndSurvivesARestart(t *testing.T) {
	t.Parallel()

	w := setup(t)
	server, s := openAI(t, answerWith("A1"), answerWith("A2"), answerWith("A3"), answerWith("A4"))
	s.System = "be kind"
	s.HistoryMessages = 4

	stop := w.start(s)
	w.ask("s", "Q1")
	w.ask("s", "Q2")
	stop()

	w.start(s) // another instance: nothing but the bus connects the two
	w.ask("s", "Q3")
	w.ask("s", "Q4")

	for i, want := range [][]string{
		{"be kind", "Q1"},
		{"be kind", "Q1", "A1", "Q2"},
		{"be kind", "Q1", "A1", "Q2", "A2", "Q3"},
		{"be kind", "Q2", "A2", "Q3", "A3", "Q4"},
	} {
		if diff := cmp.Diff(want, conversation(t, server, i)); diff != "" {
			t.Errorf("request %d: %s", i, diff)
		}
	}
}

func TestSessionsDoNotShareHistory(t *testing.T) {
	t.Parallel()

	w := setup(t)
	server, s := openAI(t, answerWith("A"))
	w.start(s)
	w.ask("alice", "my secret")
	w.ask("bob", "what do you know?")

	if diff := cmp.Diff([]string{"what do you know?"}, conversation(t, server, 1)); diff != "" {
		t.Error(diff)
	}
}

func TestTurnThatIsExecutedAgainReplacesItsExchange(t *testing.T) {
	t.Parallel()

	w := setup(t)
	server, s := openAI(t, answerWith("dead"), answerWith("alive"), answerWith("next"))

	if err := s.Check(); err != nil {
		t.Fatal(err)
	}

	var runs atomic.Int32

	service := s.Service()
	service.Middleware = []framework.Middleware{func(next framework.Handler) framework.Handler {
		return func(ctx context.Context, turn *framework.Turn) error {
			err := next(ctx, turn)
			if runs.Add(1) == 1 && err == nil {
				return errTest // the instance dies between its last word and the end of the turn
			}

			return err
		}
	}}
	w.run(service)

	if text := w.ask("s", "Q1"); text != "alive" {
		t.Errorf("got %q", text)
	}

	w.ask("s", "Q2")

	if diff := cmp.Diff([]string{"Q1"}, conversation(t, server, 1)); diff != "" {
		t.Errorf("second attempt: %s", diff)
	}

	if diff := cmp.Diff([]string{"Q1", "alive", "Q2"}, conversation(t, server, 2)); diff != "" {
		t.Errorf("next turn: %s", diff)
	}
}

// answerWith is a step that answers with one piece.
func answerWith(text string) providertest.Step {
	format := providertest.OpenAI()

	return func(c *providertest.Conn) {
		c.Events()
		c.Send(format.Start(1), format.Delta(text), format.Finish("stop", 1, 1))
	}
}

// conversation returns the texts of the n-th request.
func conversation(t *testing.T, s *providertest.Server, n int) []string {
	t.Helper()

	var body struct {
		Messages []struct {
			Content string `json:"content"`
		} `json:"messages"`
	}

	decode(t, s, n, &body)

	texts := make([]string, 0, len(body.Messages))
	for _, m := range body.Messages {
		texts = append(texts, m.Content)
	}

	return texts
}

// decode reads the n-th request.
func decode(t *testing.T, s *providertest.Server, n int, body any) {
	t.Helper()

	requests := s.Requests()
	if n >= len(requests) {
		t.Fatalf("only %d requests", len(requests))
	}

	if err := json.Unmarshal(requests[n].Body, body); err != nil {
		t.Fatal(err)
	}
}
