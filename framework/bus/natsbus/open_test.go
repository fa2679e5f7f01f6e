package natsbus

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/bus"
)

// wantDialError opens a bus in vain and returns the message.
func wantDialError(t *testing.T, cfg Config, parts ...string) {
	t.Helper()
	b, err := Open(t.Context(), cfg)
	if err == nil {
		_ = b.Close(t.Context())
		t.Fatal("open succeeded")
	}
	if _, ok := errors.AsType[*bus.DialError](err); !ok {
		t.Fatalf("open: %v, want a DialError", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("message %q does not say %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "\n") {
		t.Errorf("message %q", err)
	}
}

// closedPort returns an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l := must(lc.Listen(t.Context(), "tcp", "127.0.0.1:0"))(t)
	defer func() { _ = l.Close() }()

	return l.Addr().String()
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	addr := closedPort(t)
	dir := t.TempDir()
	wantDialError(t, Config{URL: "nats://me:s3cret@" + addr}, "nats://"+addr, "nats-server -js")
	wantDialError(t, Config{URL: "nats://s3cret@" + addr + ",nats://u:s3cret@" + addr}, "nats://"+addr+",nats://"+addr)
	wantDialError(t, Config{URL: "nats://me:s3cret@%zz"}, "nats://%zz")
	wantDialError(t, Config{URL: "nats://" + addr, Creds: filepath.Join(dir, "none.creds")}, addr)
	wantDialError(t, Config{URL: "nats://" + addr, NKey: filepath.Join(dir, "none.nk")}, "none.nk", "check the path")
	wantDialError(t, Config{URL: "nats://" + addr, CA: filepath.Join(dir, "none.pem")}, "none.pem", "check the path")
	wantDialError(t, Config{Context: filepath.Join(dir, "none.json")}, "none.json", "check the path")
	wantDialError(t, Config{URL: "tls://" + strings.TrimPrefix(embeddedtest.Run(t).URL(), "nats://")}, "use tls:// where")
}

// TestOpenOfAMuteServer dials a server that accepts and says nothing.
func TestOpenOfAMuteServer(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	l := must(lc.Listen(t.Context(), "tcp", "127.0.0.1:0"))(t)
	defer func() { _ = l.Close() }()
	begun := time.Now()
	wantDialError(t, Config{URL: "nats://" + l.Addr().String(), DialTimeout: time.Second}, l.Addr().String(), "timeout")
	if took := time.Since(begun); took > patience/2 {
		t.Errorf("it took %v", took)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	_, err := Open(t.Context(), Config{
		App: "Not An App", Shards: -1, Replicas: 2, MaxAge: time.Second, MaxBytes: -1, Cert: "c",
		InProcess: embeddedtest.RunInProcess(t), Context: "c",
	})
	if !errors.Is(err, bus.ErrInvalid) {
		t.Fatalf("open: %v, want %v", err, bus.ErrInvalid)
	}
	for _, name := range []string{"application name", "Replicas", "MaxAge", "MaxBytes", "Cert and Key", "InProcess"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q does not name %s", err, name)
		}
	}
	_, err = Open(t.Context(), Config{Password: "s3cret"})
	if !errors.Is(err, bus.ErrInvalid) || !strings.Contains(err.Error(), "set User") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("password without a user: %v", err)
	}
}

func TestOpenInProcess(t *testing.T) {
	t.Parallel()
	b := open(t, Config{InProcess: embeddedtest.RunInProcess(t)})
	fill(t, b, testID(1), 3)
	info := b.Info()
	if info.Kind != "nats" || info.URL != "in-process" || info.Durability != bus.Local || info.MaxBody < 1<<19 {
		t.Errorf("info is %+v", info)
	}
}

func TestOpenByContext(t *testing.T) {
	t.Parallel()
	url := embeddedtest.Run(t).URL()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}

		return path
	}
	b := open(t, Config{Context: write("good.json", `{"url":"`+url+`","inbox_prefix":"_INBOX_ctx"}`)})
	fill(t, b, testID(1), 2)
	if b.Info().URL != url || !strings.HasPrefix(b.req.prefix, "_INBOX_ctx.") {
		t.Errorf("url is %s, inbox %s", b.Info().URL, b.req.prefix)
	}
	over := open(t, Config{Context: write("elsewhere.json", `{"url":"nats://127.0.0.1:1"}`), URL: url, InboxPrefix: "_INBOX_own"})
	if over.Info().URL != url || !strings.HasPrefix(over.req.prefix, "_INBOX_own.") {
		t.Errorf("url is %s, inbox %s", over.Info().URL, over.req.prefix)
	}
	wantDialError(t, Config{Context: write("jwt.json", `{"url":"`+url+`","user_jwt":"s3cret"}`)}, "user_jwt", "not supported")
	wantDialError(t, Config{Context: write("bad.json", `{`)}, "bad.json")
	wantDialError(t, Config{Context: write("away.json", `{"url":"nats://u:s3cret@`+closedPort(t)+`"}`)}, "away.json")
}

func TestOpenManyAtOnce(t *testing.T) {
	t.Parallel()
	url := embeddedtest.Run(t).URL()
	shards := make([]int, 8)
	var wg sync.WaitGroup
	for i := range shards {
		wg.Go(func() {
			b, err := Open(t.Context(), Config{URL: url, Name: "p", AppendTimeout: patience})
			if err != nil {
				t.Error(err)

				return
			}
			defer func() { _ = b.Close(context.WithoutCancel(t.Context())) }()
			shards[i] = b.ns.Shards()
			id := testID(i)
			if _, err := b.Append(t.Context(), frame(id, 0, "x"), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, n := range shards {
		if n != 4 {
			t.Errorf("shards are %v", shards)
		}
	}
}

func TestDeploymentIsKept(t *testing.T) {
	t.Parallel()
	url := embeddedtest.Run(t).URL()
	b := open(t, Config{URL: url, Shards: 2, MaxAge: 2 * time.Hour})
	if again := open(t, Config{URL: url}); again.ns.Shards() != 2 || again.Info().Retention != 2*time.Hour {
		t.Errorf("%d shards that are kept for %v, want those that are there", again.ns.Shards(), again.Info().Retention)
	}
	wantDialError(t, Config{URL: url, Shards: 3}, "2 shards, not 3", "another application name")
	age := func() time.Duration {
		return must(b.js.Stream(t.Context(), b.ns.LogStream(1)))(t).CachedInfo().Config.MaxAge
	}
	if age() != 2*time.Hour {
		t.Errorf("age is %v", age())
	}
	open(t, Config{URL: url, MaxAge: 3 * time.Hour})
	if age() != 3*time.Hour {
		t.Errorf("age is %v after a change", age())
	}
	other := open(t, Config{URL: url, App: "other", Shards: 1})
	fill(t, other, testID(1), 1)
	if e := must(b.Last(t.Context(), testID(1)))(t); e != nil {
		t.Errorf("applications share a log: %+v", e)
	}
}

func TestStrangeJetStreamIsRefused(t *testing.T) {
	t.Parallel()
	b := single(t)
	name := b.ns.LogStream(2)
	if err := b.js.DeleteStream(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	must(b.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{b.ns.LogWildcard(2)}}))(t)
	wantDialError(t, Config{URL: b.Info().URL}, name, "other settings", "discard")
}
