package provider_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/services/llm/provider"
	"github.com/woodwork-go/woodwork/services/llm/provider/providertest"
)

func TestStreamEmitsEachPieceAndReportsUsage(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p peer) {
		_, m := p.serve(t, provider.Timeouts{}, p.answer("Hel", "lo", " Wörld", " 🪵\n"))

		pieces, res, err := ask(t, m)
		if err != nil {
			t.Fatal(err)
		}

		if diff := cmp.Diff([]string{"Hel", "lo", " Wörld", " 🪵\n"}, pieces); diff != "" {
			t.Error(diff)
		}

		want := provider.Result{
			Provider: p.Name, Model: providertest.Model, ID: providertest.ID, FinishReason: "stop", InputTokens: 7, OutputTokens: 5,
		}
		if diff := cmp.Diff(want, res); diff != "" {
			t.Error(diff)
		}
	})
}

func TestStreamSendsWhatWasAsked(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p peer) {
		s, m := p.serve(t, provider.Timeouts{}, p.answer("ok"))
		warm := 0.5

		_, err := m.Stream(t.Context(), provider.Request{
			System: "be brief", Temperature: &warm, MaxTokens: 99, Messages: []provider.Message{
				{Role: provider.User, Text: "one"}, {Role: provider.Assistant, Text: "two"}, {Role: provider.User, Text: "three"},
			},
		}, func(string) error { return nil })
		if err != nil {
			t.Fatal(err)
		}

		got := s.Requests()[0]
		if got.Path != p.Path {
			t.Errorf("path is %q, want %q", got.Path, p.Path)
		}

		if auth := got.Header.Get("Authorization") + got.Header.Get("X-Api-Key"); !strings.HasSuffix(auth, canary) {
			t.Errorf("the request carries no key")
		}

		for _, part := range []string{
			`"model":"asked"`, `"stream":true`, `"temperature":0.5`, `"max_tokens":99`, "be brief", "one", "two", "three",
		} {
			if !strings.Contains(string(got.Body), part) {
				t.Errorf("the request lacks %s: %s", part, got.Body)
			}
		}
	})
}

func TestStreamJoinsCharactersThatPacketsSplit(t *testing.T) {
	t.Parallel()

	const text = "a ö € 🪵 𐍈 𒀀 Ω"

	both(t, func(t *testing.T, p peer) {
		_, m := p.serve(t, provider.Timeouts{}, func(c *providertest.Conn) {
			c.Events()

			for _, b := range []byte(p.Start(1) + p.Delta(text) + p.Finish("stop", 1, 1)) {
				c.Send(string([]byte{b}))
			}
		})

		pieces, _, err := ask(t, m)
		if got := strings.Join(pieces, ""); err != nil || got != text {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestStreamEmitsWhatIsThereBeforeMoreComes(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p peer) {
		taken := make(chan struct{})
		_, m := p.serve(t, provider.Timeouts{}, func(c *providertest.Conn) {
			c.Events()
			c.Send(p.Start(1), p.Delta("1"))

			for _, piece := range []string{"2", "3"} {
				if !c.Wait(taken) { // sends the next piece only when the one before has arrived
					return
				}

				c.Send(p.Delta(piece))
			}

			c.Wait(taken)
			c.Send(p.Finish("stop", 1, 3))
		})

		var got string

		_, err := m.Stream(t.Context(), hello(), func(text string) error {
			got += text
			taken <- struct{}{}

			return nil
		})
		if got != "123" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestStreamPassesOverEventsItDoesNotKnow(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p peer) {
		_, m := p.serve(t, provider.Timeouts{}, func(c *providertest.Conn) {
			c.Events()
			c.Send(p.Start(1))
			c.Send(p.Noise...)
			c.Send(p.Delta("a"))
			c.Send(p.Noise...)
			c.Send(p.Delta("b"), p.Finish("stop", 1, 2))
		})

		pieces, _, err := ask(t, m)
		if diff := cmp.Diff([]string{"a", "b"}, pieces); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}

func TestStreamStopsReadingWhileEmitBlocks(t *testing.T) {
	t.Parallel()

	const limit = 256 << 20

	both(t, func(t *testing.T, p peer) {
		sent := make(chan int, 1)
		_, m := p.serve(t, provider.Timeouts{}, func(c *providertest.Conn) {
			c.Events()
			c.Send(p.Start(1))
			sent <- c.Flood(p.Delta(strings.Repeat("x", 64<<10)), limit, 10*tiny)
		})
		stuck := errors.New("the server got stuck")

		_, err := m.Stream(t.Context(), hello(), func(string) error {
			if n := <-sent; n >= limit {
				t.Errorf("the server could send %d bytes to a reader that reads nothing", n)
			}

			return stuck
		})
		if !errors.Is(err, stuck) {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestStreamReturnsTheErrorOfEmitAndHangsUp(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p peer) {
		full := errors.New("full")
		s, m := p.serve(t, provider.Timeouts{}, func(c *providertest.Conn) {
			c.Events()
			c.Send(p.Start(1), p.Delta("x"))
			c.Hang()
		})

		_, err := retried(m).Stream(t.Context(), hello(), func(string) error { return full })
		if !errors.Is(err, full) {
			t.Errorf("the error is %v", err)
		}

		<-s.Gone()

		if n := len(s.Requests()); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
	})
}

func TestStreamClosesTheConnectionWhenCancelled(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p peer) {
		reason := errors.New("the user changed their mind")

		for name, before := range map[string][]string{"before the first piece": nil, "after it": {p.Start(1), p.Delta("x")}} {
			ctx, cancel := context.WithCancelCause(t.Context())
			s, m := p.serve(t, provider.Timeouts{}, func(c *providertest.Conn) {
				c.Events()
				c.Send(before...)

				if before == nil {
					cancel(reason)
				}

				c.Hang()
			})

			_, err := m.Stream(ctx, hello(), func(string) error {
				cancel(reason)

				return nil
			})
			if !errors.Is(err, reason) {
				t.Errorf("%s: the error is %v", name, err)
			}

			<-s.Gone()
			cancel(nil)
		}
	})
}

func TestStreamMayRunConcurrently(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p peer) {
		_, m := p.serve(t, provider.Timeouts{}, p.answer("a", "b", "c"))
		errs := make(chan error)

		for range 8 {
			go func() {
				var got string

				_, err := m.Stream(t.Context(), hello(), func(s string) error { got += s; return nil })
				if err == nil && got != "abc" {
					err = errors.New("got " + got)
				}

				errs <- err
			}()
		}

		for range 8 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestDialectsAreWellFormed(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p peer) {
		for line := range strings.SplitSeq(p.Start(1)+p.Delta("a\"\n")+p.Finish("stop", 1, 2)+p.Error("a", "b"), "\n") {
			data, ok := strings.CutPrefix(line, "data: ")
			if ok && data != "[DONE]" && !json.Valid([]byte(data)) {
				t.Errorf("not JSON: %s", data)
			}
		}
	})
}
