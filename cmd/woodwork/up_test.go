package main_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/services/llm/provider/offline"
)

// embeddedBroker are the flags of a pipeline that disturbs nobody on this machine.
func embeddedBroker(dir string) []string {
	return []string{"up", "-listen", "127.0.0.1:0", "-data", dir, "-pace", "0s"}
}

func TestPipedPromptsAreAnsweredInOrder(t *testing.T) {
	t.Parallel()

	p := start(t, strings.NewReader("first\nsecond\n"), nil, "woodwork", embeddedBroker(t.TempDir())...)
	if code := p.wait(); code != 0 {
		t.Fatalf("exit code %d, want 0", code)
	}

	want := offline.Answer("first") + "\n" + offline.Answer("second") + "\n"
	if diff := cmp.Diff(want, p.stdout.String()); diff != "" {
		t.Errorf("stdout (-want +got):\n%s", diff)
	}

	for _, want := range []string{"nats://", "embedded", "Local", "offline"} {
		if !strings.Contains(p.stderr.String(), want) {
			t.Errorf("stderr does not say %q:\n%s", want, p.stderr)
		}
	}
}

func TestOnceAnswersAndExits(t *testing.T) {
	t.Parallel()

	args := append(embeddedBroker(t.TempDir()), "-once", "just this")
	p := start(t, nil, nil, "woodwork", args...)

	if code := p.wait(); code != 0 || p.stdout.String() != offline.Answer("just this")+"\n" {
		t.Errorf("exit code %d, stdout %q; want 0 and one answer", code, p.stdout)
	}
}

// The offline model says how many messages it was shown, so its answer shows that the history came back.
func TestASessionGoesOnAfterARestart(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	ask := func(prompt string) string {
		p := start(t, nil, nil, "woodwork", append(embeddedBroker(dir), "-session", "diary", "-once", prompt)...)
		if code := p.wait(); code != 0 {
			t.Fatalf("exit code %d", code)
		}

		return p.stdout.String()
	}

	first, second := ask("remember me"), ask("again")
	if strings.Contains(second, "remember me") {
		t.Errorf("the second run printed the first answer again: %q", second)
	}

	if first == "" || !strings.Contains(second, "again") {
		t.Errorf("answers %q and %q", first, second)
	}
}
