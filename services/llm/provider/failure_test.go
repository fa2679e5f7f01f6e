package provider_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/services/llm/provider"
	"github.com/woodwork-go/woodwork/services/llm/provider/providertest"
)

func TestRefusalsSayWhatHappenedAndWhatToDo(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p peer) {
		for _, c := range []struct {
			status        int
			word, message string
			kind          provider.Kind
			says          string
		}{
			{401, "authentication_error", "Incorrect API key provided: " + canary, provider.KindKey, strings.ToUpper(p.Name) + "_API_KEY"},
			{403, "permission_error", "no", provider.KindKey, "_API_KEY"},
			{404, "model_not_found", "The model `asked` does not exist", provider.KindModel, "--model"},
			{402, "billing_error", "no credit", provider.KindQuota, "billing"},
			{429, "insufficient_quota", "You exceeded your current quota", provider.KindQuota, "billing"},
			{400, "context_length_exceeded", "too many tokens", provider.KindTooLong, "--history-messages"},
			{400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum", provider.KindTooLong, "--history-messages"},
			{413, "request_too_large", "too large", provider.KindTooLong, "--history-messages"},
			{400, "invalid_request_error", "temperature: must be\n at most 1", provider.KindRejected, "temperature: must be at most 1"},
			{400, "invalid_request_error", "your key " + canary + " is odd", provider.KindRejected, "your key [redacted] is odd"},
		} {
			s, m := p.serve(t, provider.Timeouts{}, func(conn *providertest.Conn) {
				conn.Refuse(c.status, p.Refusal(c.word, c.message), "Content-Type", "application/json", "Request-Id", "req_77")
			})
			_, _, err := ask(t, retried(m))

			e := failure(t, err)
			if e.Kind != c.kind || e.Status != c.status || e.RequestID != "req_77" || e.Provider != p.Name || e.Model != "asked" {
				t.Errorf("%d %s: got %+v", c.status, c.word, e)
			}

			if text := err.Error(); !strings.Contains(text, c.says) || strings.ContainsAny(text, "\n\r") {
				t.Errorf("%d %s: the message is %q, want one line with %q", c.status, c.word, text, c.says)
			}

			if n := len(s.Requests()); n != 1 {
				t.Errorf("%d %s: %d requests, want no retry", c.status, c.word, n)
			}
		}
	})
}

func TestRefusalByAProxyIsRecognisedByItsStatus(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p peer) {
		for status, kind := range map[int]provider.Kind{
			502: provider.KindUnavailable, 529: provider.KindUnavailable, 404: provider.KindModel, 401: provider.KindKey,
			429: provider.KindRateLimited,
		} {
			_, m := p.serve(t, provider.Timeouts{}, func(c *providertest.Conn) {
				c.Refuse(status, "<html><h1>nope</h1></html>", "Content-Type", "text/html")
			})

			_, _, err := ask(t, m)
			if e := failure(t, err); e.Kind != kind || e.Status != status {
				t.Errorf("%d: got %v", status, err)
			}
		}
	})
}

func TestPassingFailuresAreRetriedBeforeTheFirstPiece(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p peer) {
		for name, fail := range map[string]providertest.Step{
			"429":              func(c *providertest.Conn) { c.Refuse(429, p.Refusal("rate_limit_error", "slow down")) },
			"500":              func(c *providertest.Conn) { c.Refuse(500, p.Refusal("api_error", "oops")) },
			"529":              func(c *providertest.Conn) { c.Refuse(529, p.Refusal("overloaded_error", "busy")) },
			"cut before reply": func(c *providertest.Conn) { c.Cut() },
			"cut before piece": func(c *providertest.Conn) { c.Events(); c.Send(p.Start(1)); c.Cut() },
			"ends at once":     func(c *providertest.Conn) { c.Events() },
			"error event":      func(c *providertest.Conn) { c.Events(); c.Send(p.Error("overloaded_error", "busy")) },
		} {
			s, m := p.serve(t, provider.Timeouts{}, fail, p.answer("fine"))

			pieces, _, err := ask(t, retried(m))
			if diff := cmp.Diff([]string{"fine"}, pieces); diff != "" || err != nil {
				t.Errorf("%s: %v %s", name, err, diff)
			}

			if n := len(s.Requests()); n != 2 {
				t.Errorf("%s: %d requests, want 2", name, n)
			}
		}
	})
}

func TestRetriesAreBounded(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p peer) {
		s, m := p.serve(t, provider.Timeouts{}, func(c *providertest.Conn) { c.Refuse(503, p.Refusal("api_error", "oops")) })

		_, _, err := ask(t, retried(m))
		if e := failure(t, err); e.Kind != provider.KindUnavailable || e.Status != 503 || !strings.Contains(e.Error(), "oops") {
			t.Errorf("got %v", err)
		}

		if n := len(s.Requests()); n != 3 {
			t.Errorf("%d requests, want 3", n)
		}
	})
}

func TestRetryKeepsTheWaitThatTheProviderAsksFor(t *testing.T) {
	t.Parallel()

	both(t, func(t *testing.T, p peer) {
		for name, header := range map[string][]string{
			"seconds": {"Retry-After", "0.05"}, "milliseconds": {"Retry-After-Ms", "50", "Retry-After", "3"},
		} {
			var waits []time.Duration

			_, m := p.serve(t, provider.Timeouts{}, func(c *providertest.Conn) {
				c.Refuse(http.StatusTooManyRequests, p.Refusal("rate_limit_error", "slow down"), header...)
			}, p.answer("fine"))
			m = provider.WithRetry(m, provider.Retry{Backoff: time.Millisecond, OnRetry: func(_ error, wait time.Duration) {
				waits = append(waits, wait)
			}})

			begun := time.Now()
			_, _, err := ask(t, m)

			if diff := cmp.Diff([]time.Duration{50 * time.Millisecond}, waits); diff != "" || err != nil {
				t.Errorf("%s: %v %s", name, err, diff)
			}

			if took := time.Since(begun); took < 50*time.Millisecond {
				t.Errorf("%s: asked again after %v", name, took)
			}
		}
	})
}

func TestRetryGivesUpWhenTheProviderAsksForTooLongAWait(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p peer) {
		s, m := p.serve(t, provider.Timeouts{}, func(c *providertest.Conn) {
			c.Refuse(429, p.Refusal("rate_limit_error", "slow down"), "Retry-After", "3600")
		})

		_, _, err := ask(t, retried(m))
		if e := failure(t, err); e.RetryAfter != time.Hour || !strings.Contains(err.Error(), "try again in 1h0m0s") {
			t.Errorf("got %v", err)
		}

		if n := len(s.Requests()); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
	})
}

func TestCancelEndsTheWaitForARetry(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p peer) {
		_, m := p.serve(t, provider.Timeouts{}, func(c *providertest.Conn) { c.Refuse(500, "") })
		ctx, cancel := context.WithCancel(t.Context())
		m = provider.WithRetry(m, provider.Retry{Backoff: 30 * time.Second, OnRetry: func(error, time.Duration) { cancel() }})

		_, err := m.Stream(ctx, hello(), func(string) error { return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestFailuresInTheMiddleAreNotRetriedAndKeepWhatCame(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p peer) {
		for name, c := range map[string]struct {
			kind provider.Kind
			then providertest.Step
		}{
			"cut":            {provider.KindConnection, func(c *providertest.Conn) { c.Cut() }},
			"end too early":  {provider.KindConnection, func(*providertest.Conn) {}},
			"malformed":      {provider.KindProtocol, sending("event: message_delta\ndata: {\"choices\":[{\n\n")},
			"wrong type":     {provider.KindProtocol, sending("event: content_block_delta\ndata: [1,2]\n\n")},
			"half an event":  {provider.KindConnection, func(c *providertest.Conn) { c.Send(p.Delta("lost")[:20]) }},
			"overloaded":     {provider.KindUnavailable, func(c *providertest.Conn) { c.Send(p.Error("overloaded_error", "busy")) }},
			"limited":        {provider.KindRateLimited, func(c *providertest.Conn) { c.Send(p.Error("rate_limit_error", "slow")) }},
			"hanging server": {provider.KindTimeout, func(c *providertest.Conn) { c.Hang() }},
		} {
			s, m := p.serve(t, provider.Timeouts{Idle: tiny}, func(conn *providertest.Conn) {
				conn.Events()
				conn.Send(p.Start(3), p.Delta("kept "), p.Delta("text"))
				c.then(conn)
			})
			pieces, res, err := ask(t, retried(m))

			if diff := cmp.Diff([]string{"kept ", "text"}, pieces); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}

			if e := failure(t, err); e.Kind != c.kind || !e.Partial || !strings.Contains(err.Error(), "in the middle of the answer") {
				t.Errorf("%s: got %v", name, err)
			}

			if n := len(s.Requests()); n != 1 {
				t.Errorf("%s: %d requests, want 1", name, n)
			}

			if res.Model != providertest.Model || res.FinishReason != "" {
				t.Errorf("%s: the result is %+v", name, res)
			}
		}
	})
}

func TestAFailureAfterTheLastWordIsNone(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p peer) {
		_, m := p.serve(t, provider.Timeouts{}, func(c *providertest.Conn) {
			c.Events()
			c.Send(p.Start(1), p.Delta("all"), p.Finish("stop", 1, 1))
			c.Cut()
		})

		if pieces, _, err := ask(t, m); err != nil || strings.Join(pieces, "") != "all" {
			t.Errorf("got %q, %v", pieces, err)
		}
	})
}

func TestAHangingServerTimesOut(t *testing.T) {
	t.Parallel()

	// Long enough for a request to reach the server also on a busy machine.
	const limit = 250 * time.Millisecond

	both(t, func(t *testing.T, p peer) {
		for name, c := range map[string]struct {
			limits provider.Timeouts
			step   providertest.Step
			says   string
		}{
			"no reply": {
				provider.Timeouts{FirstToken: limit}, func(c *providertest.Conn) { c.Hang() }, "no answer began within 250ms",
			},
			"only headers": {provider.Timeouts{FirstToken: limit}, func(c *providertest.Conn) {
				c.Events()
				c.Hang()
			}, "no answer began within 250ms"},
			"total": {provider.Timeouts{Total: limit}, func(c *providertest.Conn) {
				c.Events()
				c.Send(p.Start(1), p.Delta("x"))
				c.Hang()
			}, "the answer did not end within 250ms"},
			"idle": {provider.Timeouts{Idle: limit}, func(c *providertest.Conn) {
				c.Events()
				c.Send(p.Start(1), p.Delta("x"))
				c.Hang()
			}, "nothing was sent within 250ms"},
		} {
			s, m := p.serve(t, c.limits, c.step)
			_, _, err := ask(t, retried(m))

			if e := failure(t, err); e.Kind != provider.KindTimeout || !strings.Contains(err.Error(), c.says) ||
				!strings.Contains(err.Error(), "-timeout") {
				t.Errorf("%s: got %v", name, err)
			}

			if n := len(s.Requests()); n != 1 {
				t.Fatalf("%s: %d requests, want 1", name, n)
			}

			<-s.Gone()
		}
	})
}

func TestASlowReaderIsNotAnIdleProvider(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p peer) {
		_, m := p.serve(t, provider.Timeouts{Idle: tiny}, p.answer("a", "b", "c"))

		_, err := m.Stream(t.Context(), hello(), func(string) error {
			<-time.After(2 * tiny)

			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestAServerThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p peer) {
		s, m := p.serve(t, provider.Timeouts{}, p.answer("x"))
		s.Close()

		_, _, err := ask(t, m)
		if e := failure(t, err); e.Kind != provider.KindConnection || !e.Passing() || !strings.Contains(err.Error(), s.URL()) ||
			!strings.Contains(err.Error(), "refused") {
			t.Errorf("got %v", err)
		}
	})
}

func TestAnHTMLPageIsNotAnAnswer(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p peer) {
		_, m := p.serve(t, provider.Timeouts{}, func(c *providertest.Conn) {
			c.Refuse(200, "<html><p>Welcome!</p></html>", "Content-Type", "text/html")
		})

		_, _, err := ask(t, m)
		if e := failure(t, err); e.Kind != provider.KindProtocol || !strings.Contains(err.Error(), "text/html") {
			t.Errorf("got %v", err)
		}
	})
}

// sending is a step that sends bytes within a stream that has begun.
func sending(raw string) providertest.Step { return func(c *providertest.Conn) { c.Send(raw) } }
