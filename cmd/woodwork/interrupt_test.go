package main_test

import (
	"context"
	"strings"
	"syscall"
	"testing"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/services/llm/provider/offline"
)

// Ctrl-C cancels the answer that is being written, and the conversation goes on; when none is, it leaves.
func TestCtrlCCancelsTheAnswerAndThenLeaves(t *testing.T) {
	t.Parallel()

	stdin, typed := pipe(t)
	args := []string{"up", "-listen", "127.0.0.1:0", "-data", t.TempDir(), "-pace", "40ms", "-session", "s"}
	up := start(t, stdin, nil, "woodwork", args...)
	up.until(up.stderr, "session s")

	events := follow(t, busURL(up.stderr.String()), "s")
	say := func(prompt string) {
		if _, err := typed.WriteString(prompt + "\n"); err != nil {
			t.Fatal(err)
		}

		awaitAnswer(t, events)
	}

	const cancelled = "cancelled by the user"

	say("first")
	up.signal(syscall.SIGINT)
	up.until(up.stderr, cancelled)
	up.until(up.stdout, "I ")

	if text := up.stdout.String(); strings.Contains(text, offline.Answer("first")) {
		t.Errorf("stdout %q, want only the beginning of the answer", text)
	}

	say("second")
	up.until(up.stdout, offline.Answer("second"))

	say("third")
	up.signal(syscall.SIGINT)
	up.until(up.stderr, cancelled, cancelled)
	up.signal(syscall.SIGINT) // nothing is being answered now

	if code := up.wait(); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
}

// follow returns what happens in a session of a pipeline that runs.
func follow(t *testing.T, url, session string) *stream.Follower {
	t.Helper()

	client, err := framework.Connect(t.Context(), framework.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}

	events, err := client.Follow(t.Context(), stream.FollowConfig{Session: session})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		events.Close()
		_ = client.Close(context.WithoutCancel(t.Context())) // its broker may have gone before
	})

	return events
}

// awaitAnswer waits for the first chunk of the next answer.
func awaitAnswer(t *testing.T, events *stream.Follower) {
	t.Helper()

	for {
		e, err := events.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		if e.Event.Kind == stream.KindChunk && e.Event.Chunk.Index == 0 {
			return
		}
	}
}
