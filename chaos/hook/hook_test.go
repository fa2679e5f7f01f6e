package hook_test

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/chaos/hook"
	"github.com/woodwork-go/woodwork/services/llm/provider/offline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Each tag comes back from the model as one chunk: the relay looks at chunks alone.
func TestTagsTravelInOneChunk(t *testing.T) {
	t.Parallel()
	for _, h := range hook.All() {
		prompt := h.Tag() + " and more words"
		pieces, err := hook.Pieces(t.Context(), prompt)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(pieces, ""); got != offline.Answer(prompt) {
			t.Errorf("the pieces are %q", got)
		}
		met := 0
		for _, piece := range pieces {
			if hook.In(piece) == h {
				met++
			}
		}
		if met != 1 {
			t.Errorf("%s is met %d times", h, met)
		}
		relayed := strings.Join(hook.Relayed(pieces, h), "")
		if whole := relayed == strings.ToUpper(offline.Answer(prompt)); whole == h.Fails() {
			t.Errorf("%s: relayed %q", h, relayed)
		}
	}
	if h := hook.In("no hook here"); h != hook.None {
		t.Errorf("found %q", h)
	}
}
