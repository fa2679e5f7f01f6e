package provider_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/services/llm/provider"
	"github.com/woodwork-go/woodwork/services/llm/provider/anthropic"
	"github.com/woodwork-go/woodwork/services/llm/provider/openai"
	"github.com/woodwork-go/woodwork/services/llm/provider/providertest"
)

// canary is the key in all tests; it must appear in no error.
const canary = "sk-canary-4f9a1c"

const tiny = 20 * time.Millisecond

// both runs a test against each provider's client and format.
func both(t *testing.T, test func(t *testing.T, p peer)) {
	t.Helper()

	for _, p := range []peer{
		{Dialect: providertest.OpenAI(), client: func(s *providertest.Server, limits provider.Timeouts) provider.Model {
			return openai.New(openai.Config{Key: canary, URL: s.URL(), Model: "asked", Timeouts: limits, Client: s.Client()})
		}},
		{Dialect: providertest.Anthropic(), client: func(s *providertest.Server, limits provider.Timeouts) provider.Model {
			return anthropic.New(anthropic.Config{
				Key: canary, URL: s.URL(), Model: "asked", Timeouts: limits, Client: s.Client(),
			})
		}},
	} {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			test(t, p)
		})
	}
}

// peer is a provider: its format, and the client that is to understand it.
type peer struct {
	providertest.Dialect

	client func(s *providertest.Server, limits provider.Timeouts) provider.Model
}

// serve starts a server with the steps and returns it with a client.
func (p peer) serve(t *testing.T, limits provider.Timeouts, steps ...providertest.Step) (*providertest.Server, provider.Model) {
	t.Helper()

	s := providertest.New(steps...)
	t.Cleanup(s.Close)

	return s, p.client(s, limits)
}

// retried adds quick retries.
func retried(m provider.Model) provider.Model {
	return provider.WithRetry(m, provider.Retry{Attempts: 3, Backoff: time.Millisecond, MaxBackoff: 2 * time.Millisecond})
}

// answer is a step that answers with the pieces.
func (p peer) answer(pieces ...string) providertest.Step {
	return func(c *providertest.Conn) {
		c.Events()
		c.Send(p.Start(7))

		for _, piece := range pieces {
			c.Send(p.Delta(piece))
		}

		c.Send(p.Finish("stop", 7, 5))
	}
}

// ask streams an answer to "hello" and returns its pieces.
func ask(t *testing.T, m provider.Model) ([]string, provider.Result, error) {
	t.Helper()

	var pieces []string

	res, err := m.Stream(t.Context(), hello(), func(text string) error {
		pieces = append(pieces, text)

		return nil
	})
	if err != nil && strings.Contains(err.Error(), canary) {
		t.Errorf("the error shows the key: %v", err)
	}

	return pieces, res, err
}

func hello() provider.Request {
	return provider.Request{Messages: []provider.Message{{Role: provider.User, Text: "hello"}}}
}

// failure returns err as the kind of error a provider's failure must be.
func failure(t *testing.T, err error) *provider.Error {
	t.Helper()

	var failure *provider.Error
	if !errors.As(err, &failure) {
		t.Fatalf("the error is %T (%v), want *provider.Error", err, err)
	}

	return failure
}
