package answer_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/services/llm/answer"
	"github.com/woodwork-go/woodwork/services/llm/provider"
	"github.com/woodwork-go/woodwork/services/llm/provider/providertest"
)

// pair is a first provider, of OpenAI's kind, with a fallback of Anthropic's.
type pair struct {
	*world

	settings      *answer.Settings
	first, second *providertest.Server
}

// twoProviders runs the component; the steps are those of the first provider, and the other one answers "instead".
func twoProviders(t *testing.T, steps ...providertest.Step) *pair {
	t.Helper()

	p := &pair{world: setup(t), second: providertest.New(says("in", "stead"))}
	t.Cleanup(p.second.Close)
	p.first, p.settings = openAI(t, steps...)
	p.settings.Retry = provider.Retry{Backoff: time.Millisecond}
	p.settings.Fallback = answer.Fallback{Provider: "anthropic", Model: "claude-haiku-4-5", BaseURL: p.second.URL()}
	p.settings.Breaker = breaker.Config{Recovery: 100 * time.Millisecond}

	return p
}

// state is the one of the first provider's breaker.
func (p *pair) state() breaker.State { return p.settings.Breakers().For("openai/asked").Status().State }

func refuses(c *providertest.Conn) {
	c.Refuse(http.StatusServiceUnavailable, providertest.OpenAI().Refusal("server_error", "down"))
}

func openAISays(text string) providertest.Step {
	format := providertest.OpenAI()

	return func(c *providertest.Conn) {
		c.Events()
		c.Send(format.Start(1), format.Delta(text), format.Finish("stop", 1, 1))
	}
}

// TestTheFallbackAnswersUntilTheProviderIsBack over real connections, with a short recovery.
func TestTheFallbackAnswersUntilTheProviderIsBack(t *testing.T) {
	t.Parallel()

	var up atomic.Bool

	p := twoProviders(t, func(c *providertest.Conn) {
		if up.Load() {
			openAISays("well")(c)
		} else {
			refuses(c)
		}
	})
	p.start(p.settings)

	for p.state() == breaker.Closed {
		text, end := p.read(p.post("s", "Q"))
		if text != "instead" || end.Meta[answer.MetaFallbackFor] != "openai/asked" || end.Meta["provider"] != "anthropic" {
			t.Fatalf("got %q, %+v", text, end)
		}
	}

	if n := len(p.first.Requests()); n < 5 {
		t.Errorf("the breaker opened after %d requests, want 5 or more", n)
	}

	up.Store(true)

	for p.state() != breaker.Closed { // what the probes don't get the fallback does
		if text := p.ask("s", "Q"); text != "well" && text != "instead" {
			t.Fatalf("got %q", text)
		}
	}

	text, end := p.read(p.post("s", "Q"))
	if _, instead := end.Meta[answer.MetaFallbackFor]; text != "well" || instead {
		t.Errorf("got %q, %+v", text, end)
	}
}

// TestAFallbackInTheMiddleOfAnAnswerIsNoMix: what the first provider said is superseded as a whole, though the other one
// could go on behind it.
func TestAFallbackInTheMiddleOfAnAnswerIsNoMix(t *testing.T) {
	t.Parallel()

	format := providertest.OpenAI()
	p := twoProviders(t, func(c *providertest.Conn) {
		c.Events()
		c.Send(format.Start(1), format.Delta("Once"), format.Delta(" upon"))
		c.Cut()
	})
	p.start(p.settings)

	got := p.watch(p.post("s", "tell"), nil)
	if got.text != "instead" || got.end.State != bus.Completed || got.end.Meta[answer.MetaFallbackFor] != "openai/asked" {
		t.Errorf("got %q, %+v", got.text, got.end)
	}

	for _, from := range got.superseded {
		if from != 0 {
			t.Errorf("superseded from chunk %d on, want all", from)
		}
	}

	if diff := cmp.Diff([]string{"tell"}, said(t, p.second, 0)); diff != "" {
		t.Errorf("the fallback was asked %s", diff)
	}

	if n := len(p.first.Requests()); n != 1 {
		t.Errorf("the first provider was asked %d times, want once", n)
	}

	if p.ask("s", "and?") != "instead" {
		t.Error("the next turn was not answered")
	}

	if diff := cmp.Diff([]string{"tell", "instead", "and?"}, said(t, p.second, 1)); diff != "" {
		t.Errorf("the session's history: %s", diff)
	}
}

// TestATurnStaysWithTheFallback, also after the death of an instance in the middle of the fallback's answer.
func TestATurnStaysWithTheFallback(t *testing.T) {
	t.Parallel()

	format := providertest.Anthropic()
	p := twoProviders(t, refuses)
	second := providertest.New(func(c *providertest.Conn) {
		c.Events()
		c.Send(format.Start(1), format.Delta("half"))
		c.Hang()
	}, says("whole"))
	t.Cleanup(second.Close)

	p.settings.Fallback.BaseURL = second.URL()
	die := p.startDying(p.settings)

	got := p.watch(p.post("s", "tell"), func(string) { die() })
	if diff := cmp.Diff([]uint64{0}, got.superseded); got.text != "whole" || diff != "" {
		t.Errorf("got %q, superseded %s", got.text, diff)
	}

	if n := len(p.first.Requests()); n != 2 {
		t.Errorf("the first provider was asked %d times, want twice in the first attempt", n)
	}

	if diff := cmp.Diff([]string{"tell"}, said(t, second, 1)); diff != "" {
		t.Errorf("the second attempt asked %s", diff)
	}
}

func TestSomeFailuresAreNotTheProviders(t *testing.T) {
	t.Parallel()

	format := providertest.OpenAI()
	p := twoProviders(t, func(c *providertest.Conn) {
		c.Refuse(http.StatusBadRequest, format.Refusal("context_length_exceeded", "too long"))
	})
	p.start(p.settings)

	for range 6 {
		if text, end := p.read(p.post("s", "Q")); text != "" || end.State != bus.Failed {
			t.Errorf("got %q, %+v", text, end)
		}
	}

	if p.state() != breaker.Closed || len(p.second.Requests()) > 0 {
		t.Errorf("the breaker is %s, the fallback was asked %d times", p.state(), len(p.second.Requests()))
	}
}

func TestBothFail(t *testing.T) {
	t.Parallel()

	p := twoProviders(t, refuses)
	p.settings.Fallback.BaseURL = "http://127.0.0.1:1"
	p.start(p.settings)

	text, end := p.read(p.post("s", "Q"))
	if text != "" || end.State != bus.Failed || !strings.Contains(end.Reason, "anthropic") {
		t.Errorf("got %q, %+v", text, end)
	}
}

func TestTheFallbackIsChosenBySettings(t *testing.T) {
	t.Parallel()

	keys := map[string]string{"OPENAI_API_KEY": canary, "ANTHROPIC_API_KEY": canary}

	for name, c := range map[string]struct {
		args []string
		env  map[string]string
		want []string
	}{
		"none": {nil, keys, []string{"openai/gpt-5.4-mini"}},
		"provider": {
			[]string{"-fallback-provider", "anthropic"}, keys, []string{"openai/gpt-5.4-mini", "anthropic/claude-haiku-5-5"},
		},
		"only model": {[]string{"-fallback-model", "gpt-x"}, keys, []string{"openai/gpt-5.4-mini", "openai/gpt-x"}},
		"address": {
			[]string{"-fallback-base-url", "http://h/v1", "-fallback-model", "llama"},
			keys,
			[]string{"openai/gpt-5.4-mini", "openai/llama"},
		},
		"same name": {
			[]string{"-fallback-base-url", "http://h/v1"},
			keys,
			[]string{"openai/gpt-5.4-mini", "openai/gpt-5.4-mini/fallback"},
		},
		"offline": {[]string{"-fallback-provider", "offline"}, keys, []string{"openai/gpt-5.4-mini", "offline"}},
		"own key": {
			[]string{"-provider", "offline", "-fallback-provider", "anthropic"},
			map[string]string{"FALLBACK_API_KEY": canary},
			[]string{"offline", "anthropic/claude-haiku-5-5"},
		},
	} {
		s, err := parse(t, c.args, c.env)
		if err != nil {
			t.Errorf("%s: %v", name, err)

			continue
		}

		var got []string
		for _, b := range s.Breakers().Statuses() {
			got = append(got, b.Name)
		}

		if diff := cmp.Diff(slices.Sorted(slices.Values(c.want)), got); diff != "" || s.Name() != c.want[0] {
			t.Errorf("%s: %s is asked first; %s", name, s.Name(), diff)
		}
	}

	for want, args := range map[string][]string{
		`-fallback-provider "auto": use openai, anthropic or offline`: {"-fallback-provider", "auto"},
		"-fallback-provider anthropic: no key":                        {"-fallback-provider", "anthropic"},
		"-fallback-base-url: use an http":                             {"-fallback-base-url", "h"},
	} {
		if _, err := parse(t, args, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestAKeyGoesOnlyWhereItBelongs: the address of a fallback gets its own key, never that of a provider.
func TestAKeyGoesOnlyWhereItBelongs(t *testing.T) {
	t.Parallel()

	p := twoProviders(t, refuses)
	p.settings.Env = environment(map[string]string{"OPENAI_API_KEY": canary, "ANTHROPIC_API_KEY": canary})
	p.start(p.settings)
	p.ask("s", "Q")

	for _, r := range p.second.Requests() {
		for name, values := range r.Header {
			if strings.Contains(strings.Join(values, " "), canary) {
				t.Errorf("the header %s holds the provider's key", name)
			}
		}
	}

	if len(p.second.Requests()) != 1 {
		t.Errorf("the fallback was asked %d times", len(p.second.Requests()))
	}
}

// TestARefusalCostsNothing: a provider that is not asked fails in less than a millisecond.
func TestARefusalCostsNothing(t *testing.T) {
	t.Parallel()

	b := breaker.New("openai/asked", breaker.Config{})
	b.Force(breaker.ForceOpen, "moving")

	m := provider.WithRetry(provider.WithBreaker(silent{}, b), provider.Retry{})
	fastest := time.Hour

	for range 100 { // a busy machine may interrupt some of them
		begun := time.Now()
		_, err := m.Stream(t.Context(), provider.Request{}, func(string) error { return nil })
		fastest = min(fastest, time.Since(begun))

		if err == nil || !strings.Contains(err.Error(), "not asked: an operator does not want it to be asked: moving") {
			t.Fatal(err)
		}
	}

	if fastest >= time.Millisecond {
		t.Errorf("a refusal took %v", fastest)
	}
}

// silent is a model that must not be asked.
type silent struct{}

func (silent) Name() string { return "openai/asked" }

func (silent) Stream(context.Context, provider.Request, func(string) error) (provider.Result, error) {
	panic("asked")
}
