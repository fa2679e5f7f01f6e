package main_test

import (
	"strings"
	"testing"

	"github.com/woodwork-go/woodwork/internal/redistest"
	"github.com/woodwork-go/woodwork/services/llm/provider/offline"
)

// TestUpOnABusThatIsNamed runs the whole pipeline on each kind of bus.
func TestUpOnABusThatIsNamed(t *testing.T) {
	t.Parallel()

	redis := redistest.Run(t, redistest.Options{Fsync: redistest.Always, Password: "secret"})

	for name, c := range map[string]struct {
		args, env []string
		says      []string
	}{
		"memory":      {[]string{"-bus", "memory"}, nil, []string{"bus memory: (in this process only)", "Memory"}},
		"development": {nil, []string{"WOODWORK_ENV=development"}, []string{"memory:", "Memory"}},
		"nats":        {[]string{"-bus", "nats"}, []string{"REDIS_URL=redis://127.0.0.1:1"}, []string{"nats://", "embedded", "Local"}},
		"embedded":    {[]string{"-url", "embedded:" + t.TempDir()}, nil, []string{"nats://", "embedded", "Local"}},
		"redis":       {[]string{"-bus", redis.URL()}, nil, []string{"redis://" + redis.Addr() + " (remote)", "Local-synced"}},
		"redis by name": {
			[]string{"-bus", "redis"}, []string{"REDIS_URL=" + redis.URL(), "NATS_URL=nats://127.0.0.1:1"}, []string{redis.Addr()},
		},
		"redis in production": {
			nil, []string{"WOODWORK_ENV=production", "REDIS_URL=redis://" + redis.Addr(), "REDIS_PASSWORD=secret"}, []string{redis.Addr()},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			p := start(t, nil, c.env, "woodwork", append(embeddedBroker(t.TempDir()), append(c.args, "-once", "hello")...)...)

			if code := p.wait(); code != 0 || p.stdout.String() != offline.Answer("hello")+"\n" {
				t.Errorf("exit code %d, stdout %q; want 0 and an answer", code, p.stdout)
			}

			for _, want := range c.says {
				if !strings.Contains(p.stderr.String(), want) {
					t.Errorf("stderr does not say %q:\n%s", want, p.stderr)
				}
			}

			if strings.Contains(p.stderr.String(), "secret") {
				t.Errorf("stderr shows the password:\n%s", p.stderr)
			}
		})
	}
}

// TestServicesMeetOnRedis runs a service, a chat and an operator's command as processes of their own.
func TestServicesMeetOnRedis(t *testing.T) {
	t.Parallel()

	redis := redistest.Run(t, redistest.Options{Fsync: redistest.EverySecond})
	service := start(t, nil, []string{"REDIS_URL=" + redis.URL()}, "woodwork-llm", "-pace", "0s")

	chat := start(t, strings.NewReader("hi\n"), nil, "woodwork", "chat", "-url", redis.URL())
	if code := chat.wait(); code != 0 || chat.stdout.String() != offline.Answer("hi")+"\n" {
		t.Errorf("chat: exit code %d, stdout %q; want 0 and an answer", code, chat.stdout)
	}

	list := start(t, nil, []string{"WOODWORK_REDIS_URL=" + redis.URL()}, "woodwork", "dead", "ls")
	if code := list.wait(); code != 0 {
		t.Errorf("dead ls: exit code %d: %s", code, list.stderr)
	}

	if code := service.terminate(); code != 0 {
		t.Errorf("service: exit code %d", code)
	}
}
