package main_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/stream"
	llm "github.com/woodwork-go/woodwork/services/llm/answer"
	"github.com/woodwork-go/woodwork/services/llm/provider/providertest"
)

// answers is a provider that says a text, or, while it is down, fails every request.
func answers(t *testing.T, format providertest.Dialect, text string, down *atomic.Bool) *providertest.Server {
	t.Helper()

	s := providertest.New(func(c *providertest.Conn) {
		if down.Load() {
			c.Refuse(http.StatusInternalServerError, format.Refusal("server_error", "down"))

			return
		}

		c.Events()
		c.Send(format.Start(1), format.Delta(text), format.Finish("stop", 1, 1))
	})
	t.Cleanup(s.Close)

	return s
}

// turn has one turn of the language model, in a session of its own, and returns its answer and how long that took.
func turn(t *testing.T, c *framework.Client) (text string, end stream.End, took time.Duration) {
	t.Helper()

	begun := time.Now()

	ref, err := c.Post(t.Context(), framework.Post{Session: fmt.Sprint(begun.UnixNano()), Component: "llm"}, []byte("hi"))
	if err != nil {
		t.Fatal(err)
	}

	f, err := c.Follow(t.Context(), stream.FollowConfig{Session: ref.Session})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()

	for {
		e, err := f.Next(t.Context())

		switch {
		case err != nil:
			t.Fatal(err)
		case e.Event.Kind == stream.KindChunk && e.Info.Component == "llm":
			text += string(e.Event.Chunk.Data)
		case e.Event.Kind == stream.KindEnd && e.Info.Component == "llm":
			return text, e.Event.End, time.Since(begun)
		}
	}
}

// TestAnOutageOfAProvider is the story of services/llm/answer's TestAProviderGoesDownAndComesBack with real processes: a
// provider fails, is left alone, and comes back, while every turn is answered.
func TestAnOutageOfAProvider(t *testing.T) {
	t.Parallel()

	const (
		recovery = 5 * time.Second
		rounds   = 20
	)

	var down, never atomic.Bool

	down.Store(true)

	s := newShop(t)
	primary := answers(t, providertest.OpenAI(), "well", &down)
	fallback := answers(t, providertest.Anthropic(), "instead", &never)
	s.llm("pair", "-provider", "openai", "-base-url", primary.URL(), "-model", "main",
		"-fallback-provider", "anthropic", "-fallback-base-url", fallback.URL(), "-fallback-model", "spare",
		"-breaker-recovery", recovery.String(), "-registry-heartbeat", "100ms")
	s.llm("alone", "-app", "alone", "-provider", "anthropic", "-base-url", fallback.URL(), "-model", "spare")
	s.shows("pair", "openai/main", "closed")

	alone, err := framework.Connect(t.Context(), framework.Config{URL: s.url, App: "alone"})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = alone.Close(context.WithoutCancel(t.Context())) })

	instead := func() time.Duration {
		t.Helper()

		text, end, took := turn(t, s.client)
		if text != "instead" || end.Meta[llm.MetaFallbackFor] != "openai/main" {
			t.Fatalf("got %q, %+v, want the fallback's answer", text, end)
		}

		return took
	}

	var opened time.Time // at the earliest

	for n, requests := range []int{2, 4, 5} { // a request is repeated once, unless the breaker has opened
		opened = time.Now()

		instead()

		if got := len(primary.Requests()); got != requests {
			t.Fatalf("after turn %d the provider has got %d requests, want %d", n+1, got, requests)
		}
	}

	s.shows("pair", "openai/main", "open")
	wantText(t, "component info", s.run("component", "info", "pair"), "openai/main=open")

	var guarded, own []time.Duration

	for range rounds {
		took := instead()
		if time.Since(opened) >= recovery {
			break // from here on it may be tried again
		}

		guarded = append(guarded, took)

		if got := len(primary.Requests()); got != 5 {
			t.Fatalf("while the breaker was open the provider has got %d requests, want 5", got)
		}

		text, _, took := turn(t, alone)
		if own = append(own, took); text != "instead" {
			t.Fatalf("the fallback itself says %q", text)
		}
	}

	compare(t, guarded, own)

	before := len(primary.Requests())

	down.Store(false)

	text, end, _ := turn(t, s.client)
	for text == "instead" { // until the recovery is over
		text, end, _ = turn(t, s.client)
	}

	s.shows("pair", "openai/main", "half-open")

	for n := 1; text == "well" && n < 4; n++ {
		if n == 3 {
			s.shows("pair", "openai/main", "closed")
		}

		text, end, _ = turn(t, s.client)
	}

	if _, handedOver := end.Meta[llm.MetaFallbackFor]; text != "well" || handedOver {
		t.Errorf("in the end %q answers, %+v", text, end)
	}

	if got := len(primary.Requests()) - before; got != 4 {
		t.Errorf("since it is back the provider has got %d requests, want 4", got)
	}

	if info := s.run("component", "info", "pair"); strings.Contains(info, "openai") {
		t.Errorf("in the end component info says\n%s", info)
	}
}

// compare checks that turns behind an open breaker take no longer than those of the fallback by itself.
func compare(t *testing.T, guarded, own []time.Duration) {
	t.Helper()

	const least, most = 5, 2 // pairs to tell anything; times the fallback's own

	if len(own) < least {
		t.Fatalf("only %d turns were done before the recovery", len(own))
	}

	slices.Sort(guarded)
	slices.Sort(own)

	median, ownMedian := guarded[len(guarded)/2], own[len(own)/2]
	t.Logf("of %d turns with an open breaker the median took %v, of the fallback's own %v", len(guarded), median, ownMedian)

	if median > most*ownMedian {
		t.Errorf("a turn with an open breaker took %v, one of the fallback's own %v", median, ownMedian)
	}
}
