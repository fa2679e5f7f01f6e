package main_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
)

// Every mistake ends with one line that says what to do, and a code that is not 0.
func TestWrongInput(t *testing.T) {
	t.Parallel()

	taken, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a listener of the test
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = taken.Close() })

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}

	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		said := `{"error":{"message":"Incorrect API key provided: sk-wr***ng","code":"invalid_api_key"}}`
		http.Error(w, said, http.StatusUnauthorized)
	}))
	t.Cleanup(provider.Close)

	wrongKey := []string{"OPENAI_API_KEY=sk-wrong", "OPENAI_BASE_URL=" + provider.URL + "/v1"}
	up := func(args ...string) []string { return append(embeddedBroker(t.TempDir()), args...) }
	chat := func(args ...string) []string { return append([]string{"chat"}, args...) }
	inFile := []string{"up", "-listen", "127.0.0.1:0", "-data", filepath.Join(file, "x")}
	onPort := []string{"up", "-listen", taken.Addr().String(), "-data", t.TempDir()}
	nobody, noRedis := "nats://127.0.0.1:1", "redis://ann:secret@127.0.0.1:1"
	both := []string{"NATS_URL=" + nobody, "REDIS_URL=" + noRedis}
	ask := func(args ...string) []string { return args }
	broker := []string{"NATS_URL=" + embeddedtest.Run(t).URL()}

	for name, c := range map[string]struct {
		program string
		args    []string
		env     []string
		code    int
		says    []string
	}{
		"no command":      {"woodwork", nil, nil, 2, []string{"woodwork up"}},
		"unknown command": {"woodwork", []string{"fly"}, nil, 2, []string{"fly", "help"}},
		"unknown flag":    {"woodwork", up("-fly"), nil, 2, []string{"-fly", "-h"}},
		"stray argument":  {"woodwork", up("hello"), nil, 2, []string{"hello", "-h"}},
		"bad environment": {"woodwork", up(), []string{"WOODWORK_SHARDS=many"}, 2, []string{"WOODWORK_SHARDS", "many"}},
		"bad url":         {"woodwork", chat("-server", "kafka://x"), nil, 2, []string{"kafka", "nats, tls", "redis", "memory:"}},
		"unreadable url":  {"woodwork", chat("-url", "::"), nil, 2, []string{"nats, tls"}},
		"unknown bus":     {"woodwork", up("-bus", "kafka"), nil, 2, []string{"kafka", "nats, redis, memory", "nats, tls"}},
		"unknown stage":   {"woodwork", up(), []string{"WOODWORK_ENV=prodution"}, 2, []string{"prodution", "production"}},
		"no address":      {"woodwork", up(), []string{"WOODWORK_ENV=prod"}, 2, []string{"NATS_URL", "REDIS_URL"}},
		"two addresses":   {"woodwork-llm", nil, both, 2, []string{"REDIS_URL", "WOODWORK_MESSAGE_BUS"}},
		"memory of many":  {"woodwork-llm", []string{"-bus", "memory"}, nil, 2, []string{"NATS_URL", "woodwork up -bus memory"}},
		"memory of dev":   {"woodwork", chat(), []string{"WOODWORK_ENV=dev"}, 2, []string{"WOODWORK_ENV=dev", "NATS_URL"}},
		"embedded in one": {"woodwork-llm", []string{"-url", "embedded:x"}, nil, 1, []string{"woodwork up"}},
		"not of redis":    {"woodwork", up("-bus", noRedis, "-creds", "f"), nil, 2, []string{"-creds", "redis"}},
		"redis down":      {"woodwork", up("-bus", noRedis), nil, 1, []string{"127.0.0.1:1"}},
		"server down":     {"woodwork", chat("-server", nobody), nil, 1, []string{"127.0.0.1:1", "nats-server -js"}},
		"service down":    {"woodwork-llm", []string{"-server", nobody}, nil, 1, []string{"127.0.0.1:1", "nats-server -js"}},
		"no such context": {"woodwork", chat("-context", "nowhere"), nil, 1, []string{"nowhere"}},
		"no such creds":   {"woodwork", chat("-creds", "/nowhere.creds"), nil, 1, []string{"/nowhere.creds"}},
		"bad session":     {"woodwork", up("-session", "a b"), nil, 2, []string{"a b", "session"}},
		"wrong key":       {"woodwork", up("-once", "hi"), wrongKey, 1, []string{"key", "OPENAI_API_KEY"}},
		"bad target":      {"woodwork", up("-to", "a b"), nil, 2, []string{"a b"}},
		"bad policy":      {"woodwork", chat("-policy", "shout"), nil, 2, []string{"shout", "queue, interrupt or reject"}},
		"data in a file":  {"woodwork", inFile, nil, 1, []string{"file"}},
		"port taken":      {"woodwork", onPort, nil, 1, []string{"in use", "-server"}},
		"bad log level":   {"woodwork", up("-log-level", "loud"), nil, 2, []string{"loud", "debug"}},
		"no action":       {"woodwork", ask("component"), nil, 2, []string{"woodwork component ls or info"}},
		"unknown action":  {"woodwork", ask("session", "eat"), nil, 2, []string{"eat", "ls, info or end"}},
		"ls of a word":    {"woodwork", ask("component", "ls", "llm"), nil, 2, []string{"llm", "component ls -h"}},
		"ls of a session": {"woodwork", ask("session", "ls", "s1"), nil, 2, []string{"s1", "session ls -h"}},
		"bad state":       {"woodwork", ask("component", "ls", "-state", "ill"), nil, 2, []string{"ill", "draining or failed"}},
		"no such state":   {"woodwork", ask("session", "ls", "-state", "ill"), nil, 2, []string{"ill", "active or ended"}},
		"bad component":   {"woodwork", ask("component", "ls", "-component", "a b"), nil, 2, []string{"a b", "component"}},
		"bad age":         {"woodwork", ask("session", "ls", "-older-than", "-1h"), nil, 2, []string{"-1h", "30m"}},
		"no age":          {"woodwork", ask("session", "ls", "-older-than", "old"), nil, 2, []string{"old", "-h"}},
		"bad tenant":      {"woodwork", ask("session", "ls", "-tenant", "A b"), nil, 2, []string{"A b", "tenant"}},
		"info of nothing": {"woodwork", ask("component", "info"), nil, 2, []string{"woodwork component ls"}},
		"info of two":     {"woodwork", ask("session", "info", "a", "b"), nil, 2, []string{"one session"}},
		"end of nothing":  {"woodwork", ask("session", "end"), nil, 2, []string{"woodwork session ls"}},
		"end of no id":    {"woodwork", ask("session", "end", "a b"), nil, 2, []string{"a b", "session"}},
		"no target":       {"woodwork", ask("breaker", "open"), nil, 2, []string{"one target", "woodwork breaker ls"}},
		"two targets":     {"woodwork", ask("breaker", "auto", "a", "b"), nil, 2, []string{"one target"}},
		"empty target":    {"woodwork", ask("breaker", "close", ""), nil, 2, []string{"target is empty"}},
		"breaker action":  {"woodwork", ask("breaker", "smash", "a"), nil, 2, []string{"smash", "ls, open, close or auto"}},
		"breaker for all": {"woodwork", ask("breaker", "open", "a", "-component", "_"), nil, 2, []string{"component", "reserved"}},
		"bad for":         {"woodwork", ask("breaker", "open", "a", "-for", "1500ms"), nil, 2, []string{"-for", "whole seconds"}},
		"no for":          {"woodwork", ask("breaker", "open", "a", "-for", "0s"), nil, 2, []string{"-for", "at least 1s"}},
		"auto for":        {"woodwork", ask("breaker", "auto", "a", "-for", "1s"), nil, 2, []string{"-for"}},
		"long reason":     {"woodwork", ask("breaker", "open", "a", "-reason", strings.Repeat("x", 257)), nil, 2, []string{"256"}},
		"ls of a target":  {"woodwork", ask("breaker", "ls", "llm"), nil, 2, []string{"llm", "breaker ls -h"}},
		"bad attempts": {
			"woodwork-llm", []string{"-call-attempts", "0"}, nil, 2, []string{"-call-attempts", "WOODWORK_CALL_ATTEMPTS"},
		},
		"bad recovery": {
			"woodwork-llm", nil,
			[]string{"WOODWORK_CALL_BREAKER_RECOVERY=-1s"},
			2,
			[]string{"-call-breaker-recovery", "WOODWORK_CALL_BREAKER_RECOVERY"},
		},
		"no component":    {"woodwork", ask("component", "info", "ghost"), broker, 1, []string{"ghost", "woodwork component ls"}},
		"no session":      {"woodwork", ask("session", "info", "ghost"), broker, 1, []string{"ghost", "woodwork session ls"}},
		"end of none":     {"woodwork", ask("session", "end", "ghost"), broker, 1, []string{"ghost", "woodwork session ls"}},
		"asked of nobody": {"woodwork", ask("component", "ls", "-server", nobody), nil, 1, []string{"127.0.0.1:1"}},
		"bad provider":    {"woodwork", up("-provider", "oracle"), nil, 2, []string{"oracle", "openai"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			p := start(t, strings.NewReader("hi\n"), c.env, c.program, c.args...)
			code := p.wait()
			last := lastLine(p.stderr.String())

			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}

			for _, want := range c.says {
				if !strings.Contains(last, want) {
					t.Errorf("the message %q does not say %q", last, want)
				}
			}

			if strings.Contains(p.stderr.String(), "secret") {
				t.Errorf("the message %q shows a password", last)
			}

			if strings.Contains(p.stderr.String(), "goroutine ") || p.stdout.String() != "" {
				t.Errorf("more than a message: stdout %q, stderr %q", p.stdout, p.stderr)
			}
		})
	}
}

func TestAPromptThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()

	huge := strings.NewReader(strings.Repeat("x", 20<<20) + "\n")
	p := start(t, huge, nil, "woodwork", embeddedBroker(t.TempDir())...)

	if code := p.wait(); code == 0 || !strings.Contains(lastLine(p.stderr.String()), "16") || p.stdout.String() != "" {
		t.Errorf("exit code %d, stdout of %d bytes, message %q", code, len(p.stdout.String()), lastLine(p.stderr.String()))
	}
}

func TestEmptyPromptsAreNotAsked(t *testing.T) {
	t.Parallel()

	p := start(t, strings.NewReader("\n  \n\n"), nil, "woodwork", embeddedBroker(t.TempDir())...)
	if code := p.wait(); code != 0 || p.stdout.String() != "" {
		t.Errorf("exit code %d, stdout %q; want 0 and nothing", code, p.stdout)
	}

	once := start(t, nil, nil, "woodwork", append(embeddedBroker(t.TempDir()), "-once", " ")...)
	if code := once.wait(); code != 2 || once.stdout.String() != "" {
		t.Errorf("exit code %d, stdout %q; want 2 and nothing", code, once.stdout)
	}
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")

	return lines[len(lines)-1]
}
