package answer_test

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/services/llm/answer"
)

const canary = "sk-canary-77"

// parse returns settings from a command line and an environment.
func parse(t *testing.T, args []string, env map[string]string) (*answer.Settings, error) {
	t.Helper()

	s := &answer.Settings{Env: environment(env)}
	fs := flag.NewFlagSet("llm", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	s.Register(fs)

	if err := fs.Parse(args); err != nil {
		return s, err
	}

	err := s.Check()

	return s, err
}

func TestModelIsChosenByWhatIsThere(t *testing.T) {
	t.Parallel()

	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(canary+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	both := map[string]string{"OPENAI_API_KEY": canary, "ANTHROPIC_API_KEY": canary}

	for name, c := range map[string]struct {
		args []string
		env  map[string]string
		want string
	}{
		"nothing":              {nil, nil, "offline"},
		"both keys":            {nil, both, "openai/gpt-5.4-mini"},
		"Anthropic's key":      {nil, map[string]string{"ANTHROPIC_API_KEY": canary}, "anthropic/claude-haiku-5-5"},
		"key in a file":        {nil, map[string]string{"ANTHROPIC_API_KEY_FILE": file}, "anthropic/claude-haiku-5-5"},
		"address":              {[]string{"-base-url", "http://127.0.0.1:11434/v1", "-model", "llama"}, nil, "openai/llama"},
		"address in env":       {nil, map[string]string{"OPENAI_BASE_URL": "http://h/v1"}, "openai/gpt-5.4-mini"},
		"provider":             {[]string{"-provider", "anthropic", "-model", "claude-x"}, both, "anthropic/claude-x"},
		"offline in spite":     {[]string{"-provider", "offline"}, both, "offline"},
		"compatible Anthropic": {[]string{"-provider", "anthropic", "-base-url", "https://h"}, nil, "anthropic/claude-haiku-5-5"},
	} {
		s, err := parse(t, c.args, c.env)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if s.Name() != c.want {
			t.Errorf("%s: got %s, want %s", name, s.Name(), c.want)
		}
	}
}

func TestMistakesAreNamedWithoutSecrets(t *testing.T) {
	t.Parallel()

	for want, c := range map[string]struct {
		args []string
		env  map[string]string
	}{
		`-provider "gpt": use openai, anthropic, offline or auto`: {args: []string{"-provider", "gpt"}},
		"-provider openai: no key: set OPENAI_API_KEY":            {args: []string{"-provider", "openai"}},
		"-provider anthropic: no key: set ANTHROPIC_API_KEY":      {args: []string{"-provider", "anthropic"}},
		"-model: nobody to ask for it":                            {args: []string{"-model", "gpt-x"}},
		"-temperature: use a number":                              {args: []string{"-temperature", "3"}},
		"not a number":                                            {args: []string{"-temperature", "warm"}},
		"-max-tokens: use a positive":                             {args: []string{"-max-tokens", "-1"}},
		"-breaker-failures: use 1 or more, or -1 for never":       {args: []string{"-breaker-failures", "-2"}},
		"-breaker-recovery: use a positive":                       {args: []string{"-breaker-recovery", "-1s"}},
		"-breaker-successes: use a positive":                      {args: []string{"-breaker-successes", "-1"}},
		"-breaker-probes: use a positive":                         {args: []string{"-breaker-probes", "-1"}},
		"-pace: use a positive":                                   {args: []string{"-pace", "-1s"}},
		"-history-bytes: use a number from 1 to 524288":           {args: []string{"-history-bytes", "1000000"}},
		"-base-url: use an http or https URL":                     {args: []string{"-base-url", "ollama:11434"}},
		"-base-url: use an http or https URL without user":        {args: []string{"-base-url", "http://u:" + canary + "@h"}},
		"OPENAI_BASE_URL: use an http":                            {env: map[string]string{"OPENAI_BASE_URL": "h"}},
		"OPENAI_API_KEY is not a key":                             {env: map[string]string{"OPENAI_API_KEY": canary + " \n" + canary}},
		"OPENAI_API_KEY_FILE: open /does/not/exist":               {env: map[string]string{"OPENAI_API_KEY_FILE": "/does/not/exist"}},
		"the content of ANTHROPIC_API_KEY_FILE is not a key":      {env: map[string]string{"ANTHROPIC_API_KEY_FILE": os.DevNull}},
	} {
		_, err := parse(t, c.args, c.env)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("the message shows a secret: %v", err)
		}
	}
}

func TestFlagsHaveTheDocumentedDefaults(t *testing.T) {
	t.Parallel()

	s, err := parse(t, nil, nil)
	if err != nil {
		t.Fatal(err)
	}

	got := []any{
		s.Provider, s.Pace, s.Timeouts.FirstToken, s.Timeouts.Idle, s.Timeouts.Total, s.HistoryMessages, s.HistoryBytes,
		s.Temperature == nil,
	}
	want := []any{"auto", 30 * time.Millisecond, 2 * time.Minute, time.Minute, 15 * time.Minute, 40, 128 << 10, true}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
