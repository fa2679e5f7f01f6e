package anthropic

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/woodwork-go/woodwork/services/llm/provider"
)

func TestOnlyModelsThatAcceptABeginningGetOne(t *testing.T) {
	t.Parallel()

	for model, want := range map[string]bool{
		"claude-3-5-haiku-latest": true, "claude-3-opus-20240229": true, "claude-sonnet-4-20250514": true,
		"claude-opus-4-0": true, "claude-opus-4-1-20250805": true, "claude-haiku-4-5": true, "claude-sonnet-4-5-20250929": true,
		"claude-sonnet-4-6": false, "claude-opus-4-6": false, "claude-opus-4-7-20260401": false, "claude-sonnet-5": false,
		"claude-haiku-5-5": false, "claude-mythos-preview": false, "claude-sonnet-4-50": false, "some-claude-3-5": false, "": false,
	} {
		req := provider.Request{Model: model, Begun: "Once"}
		if got := New(Config{Model: "claude-opus-5"}).Continues(req); got != want {
			t.Errorf("%s: got %v, want %v", model, got, want)
		}

		body, err := json.Marshal(params(model, req))
		if err != nil {
			t.Fatal(err)
		}

		if sent := strings.Contains(string(body), "Once"); sent != want {
			t.Errorf("%s: sent %v, want %v: %s", model, sent, want, body)
		}
	}
}

func TestABeginningMustBeTextWithoutSpaceAtItsEnd(t *testing.T) {
	t.Parallel()

	m := New(Config{Model: "claude-haiku-4-5"})

	for begun, want := range map[string]bool{
		"a": true, " a": true, "a\nb": true, "ä": true, "": false, "a ": false, "a\n": false, "a\u00a0": false, " ": false,
		"\xc3": false, "a\xff b": false,
	} {
		if got := m.Continues(provider.Request{Begun: begun}); got != want {
			t.Errorf("%q: got %v, want %v", begun, got, want)
		}
	}
}
