package provider_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/chaos/provider"
	llm "github.com/woodwork-go/woodwork/services/llm/provider"
	"github.com/woodwork-go/woodwork/services/llm/provider/anthropic"
	"github.com/woodwork-go/woodwork/services/llm/provider/openai"
	"github.com/woodwork-go/woodwork/services/llm/provider/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const asked = "why?"

// start starts a provider and returns it with the client that asks it.
func start(t *testing.T, format providertest.Dialect, timeouts llm.Timeouts) (*provider.Server, llm.Model) {
	t.Helper()
	s, err := provider.Start(t.Context(), provider.Config{Name: "p", Format: format})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	cfg := llm.Config{URL: s.URL(), Model: "any", Timeouts: timeouts}
	if format.Name == anthropic.Name {
		return s, anthropic.New(cfg)
	}

	return s, openai.New(cfg)
}

// ask returns the pieces of an answer and how it failed.
func ask(ctx context.Context, m llm.Model) (pieces []string, err error) {
	request := llm.Request{Messages: []llm.Message{
		{Role: llm.User, Text: "before"}, {Role: llm.Assistant, Text: "that"}, {Role: llm.User, Text: asked},
	}}
	_, err = m.Stream(ctx, request, func(piece string) error {
		pieces = append(pieces, piece)

		return nil
	})

	return pieces, err
}

func TestItAnswersTheLastMessage(t *testing.T) {
	t.Parallel()
	for _, format := range []providertest.Dialect{providertest.OpenAI(), providertest.Anthropic()} {
		s, m := start(t, format, llm.Timeouts{})
		pieces, err := ask(t.Context(), m)
		if want := provider.Answer("p", asked); err != nil || !slices.Equal(pieces, want) {
			t.Errorf("%s: got %q, %v, want %q", format.Name, pieces, err, want)
		}
		if answered, failed := s.Counts(); answered != 1 || failed != 0 {
			t.Errorf("%s: %d answered, %d failed", format.Name, answered, failed)
		}
	}
}

// TestItIsDownAsToldAndComesBack at the same address.
func TestItIsDownAsToldAndComesBack(t *testing.T) {
	t.Parallel()
	half := len(provider.Answer("p", asked)) / 2
	for mode, want := range map[provider.Mode]struct {
		kind   llm.Kind
		pieces int
	}{
		provider.Refuse: {llm.KindConnection, 0},
		provider.Fail:   {llm.KindUnavailable, 0},
		provider.Hang:   {llm.KindTimeout, 0},
		provider.Break:  {llm.KindConnection, half},
		provider.Stall:  {llm.KindTimeout, half},
	} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			bounds := llm.Timeouts{}
			if want.kind == llm.KindTimeout {
				bounds = llm.Timeouts{FirstToken: 2 * time.Second, Idle: 2 * time.Second}
			}
			s, m := start(t, providertest.OpenAI(), bounds)
			if err := s.Set(t.Context(), mode); err != nil {
				t.Fatal(err)
			}
			pieces, err := ask(t.Context(), m)
			failure, ok := errors.AsType[*llm.Error](err)
			if !ok || failure.Kind != want.kind || len(pieces) != want.pieces {
				t.Errorf("got %d pieces, %v; want %d, %s", len(pieces), err, want.pieces, want.kind)
			}
			if err := s.Set(t.Context(), provider.Up); err != nil {
				t.Fatal(err)
			}
			if pieces, err = ask(t.Context(), m); err != nil || len(pieces) != 2*half && len(pieces) != 2*half+1 {
				t.Errorf("back up it gave %d pieces, %v", len(pieces), err)
			}
		})
	}
}

// TestItWaitsForItsAddress while somebody else has it, such as a process that is just being started.
func TestItWaitsForItsAddress(t *testing.T) {
	t.Parallel()
	s, m := start(t, providertest.OpenAI(), llm.Timeouts{})
	s.Close()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	up := make(chan error, 1)
	go func() { up <- s.Set(t.Context(), provider.Up) }()
	select {
	case err := <-up:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	if err := errors.Join(taken.Close(), <-up); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t.Context(), m); err != nil {
		t.Error(err)
	}
}

func TestNoPieceIsAnothersToo(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, pieces := range [][]string{
		provider.Answer("a", "x"), provider.Answer("b", "x"), provider.Answer("a", "y"), provider.Answer("b", "y"),
	} {
		for _, piece := range pieces {
			if seen[piece] {
				t.Errorf("%q is a piece twice", piece)
			}
			seen[piece] = true
		}
	}
}

func TestAProviderIsDownHalfOfTheTimeInEveryWay(t *testing.T) {
	t.Parallel()
	const length = 5 * time.Minute
	for seed := range uint64(20) {
		var down, last time.Duration
		modes := map[provider.Mode]bool{}
		for _, s := range provider.Spells(seed, length, 8*time.Second) {
			if s.From <= last && last > 0 || s.To <= s.From {
				t.Fatalf("seed %d: %v to %v after %v", seed, s.From, s.To, last)
			}
			down, last, modes[s.Mode] = down+s.To-s.From, s.To, true
		}
		if off := down - length/2; off.Abs() > time.Millisecond || len(modes) != len(provider.Modes()) {
			t.Errorf("seed %d: down for %v of %v, in %d ways", seed, down, length, len(modes))
		}
	}
}
