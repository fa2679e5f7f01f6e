package answer_test

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/services/llm/provider"
	"github.com/woodwork-go/woodwork/services/llm/provider/providertest"
)

const enough = "that will do"

// cancel cancels a turn.
func (w *world) cancel(ref framework.Ref) {
	w.t.Helper()

	if err := w.client.Cancel(w.t.Context(), ref, enough); err != nil {
		w.t.Fatal(err)
	}
}

func TestACancelledAnswerKeepsItsTextAndIsNotRemembered(t *testing.T) {
	t.Parallel()

	format := providertest.OpenAI()
	w := setup(t)
	server, s := openAI(t, func(c *providertest.Conn) {
		c.Events()
		c.Send(format.Start(5), format.Delta("so "), format.Delta("far"))
		c.Hang()
	}, answerWith("fine"))
	w.start(s)

	ref := w.post("s", "take your time")
	got := w.watch(ref, func(text string) {
		if text == "so far" {
			w.cancel(ref)
		}
	})

	<-server.Gone()

	if got.text != "so far" || got.end.State != bus.Cancelled || got.end.Reason != enough || len(got.superseded) > 0 {
		t.Errorf("got %+v", got)
	}

	if got.end.Meta["provider"] != "openai" {
		t.Errorf("the end does not say who was answering: %v", got.end.Meta)
	}

	if text := w.ask("s", "next"); text != "fine" {
		t.Errorf("the next answer is %q", text)
	}

	if diff := cmp.Diff([]string{"next"}, conversation(t, server, 1)); diff != "" {
		t.Errorf("the next turn's conversation: %s", diff)
	}
}

func TestACancelEndsTheWaitForAnotherTry(t *testing.T) {
	t.Parallel()

	format := providertest.OpenAI()
	w := setup(t)
	waits := &signal{on: []byte("asking again"), seen: make(chan struct{}, 1)}
	w.cfg.Logger = zerolog.New(waits)
	server, s := openAI(t, func(c *providertest.Conn) {
		c.Refuse(http.StatusTooManyRequests, format.Refusal("rate_limit_exceeded", "slow down"), "Retry-After", "50")
	})
	s.Retry = provider.Retry{}
	w.start(s)

	ref := w.post("s", "hurry")

	<-waits.seen

	begun := time.Now()

	w.cancel(ref)

	got := w.watch(ref, nil)
	if got.text != "" || got.end.State != bus.Cancelled || got.end.Reason != enough {
		t.Errorf("got %+v", got)
	}

	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("the wait ended after %v", took)
	}

	if n := len(server.Requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// An attempt that has said nothing yet takes nothing away when it is cancelled.
func TestACancelledSecondAttemptKeepsTheFirstOnesText(t *testing.T) {
	t.Parallel()

	format := providertest.OpenAI()
	again := make(chan struct{})
	w := setup(t)
	_, s := openAI(t, func(c *providertest.Conn) {
		c.Events()
		c.Send(format.Start(1), format.Delta("so far"))
		c.Hang()
	}, func(c *providertest.Conn) {
		close(again)
		c.Hang()
	})
	die := w.startDying(s)
	ref := w.post("s", "go")

	w.await(ref, func(text string) bool { return text == "so far" })
	die()
	<-again
	w.cancel(ref)

	if got := w.watch(ref, nil); got.text != "so far" || got.end.State != bus.Cancelled {
		t.Errorf("got %+v", got)
	}
}

// signal is a log that says when a line holds something.
type signal struct {
	on   []byte
	seen chan struct{}
}

// Write implements io.Writer.
func (s *signal) Write(line []byte) (int, error) {
	if bytes.Contains(line, s.on) {
		select {
		case s.seen <- struct{}{}:
		default:
		}
	}

	return len(line), nil
}
