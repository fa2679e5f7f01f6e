package dial_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/dial"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a bus and closes it when the test ends.
func open(t *testing.T, url string, cfg dial.Config) bus.Bus {
	t.Helper()

	b, err := dial.Open(t.Context(), url, cfg)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})

	return b
}

func TestTheSchemeChoosesTheAdapter(t *testing.T) {
	t.Parallel()

	server := embeddedtest.Run(t)
	cfg := dial.Config{
		Brokers:  new(dial.Brokers),
		Embedded: func(context.Context, string) (natsbus.InProcess, error) { return server, nil },
	}

	for url, kind := range map[string]string{
		server.URL():        "nats",
		"embedded:some/dir": "nats",
		"memory:":           "memory",
		"memory:name":       "memory",
		redistest.Run(t, redistest.Options{Password: "p"}).URL(): "redis",
		redistest.Run(t, redistest.Options{Unix: true}).URL():    "redis",
	} {
		if info := open(t, url, cfg).Info(); info.Kind != kind {
			t.Errorf("%s opened a bus of kind %s, want %s", url, info.Kind, kind)
		}
	}
}

func TestMemoryIsSharedByNameWithinBrokers(t *testing.T) {
	t.Parallel()

	first, second := dial.Config{Brokers: new(dial.Brokers)}, dial.Config{Brokers: new(dial.Brokers)}
	bucket := bus.Bucket("facts")

	if _, err := open(t, "memory:a", first).Set(t.Context(), bucket, "k", []byte("v"), 0, 0); err != nil {
		t.Fatal(err)
	}

	for _, c := range []struct {
		cfg   dial.Config
		url   string
		found bool
	}{{first, "memory:a", true}, {first, "memory:b", false}, {first, "memory:", false}, {second, "memory:a", false}} {
		if _, err := open(t, c.url, c.cfg).Get(t.Context(), bucket, "k"); (err == nil) != c.found {
			t.Errorf("%s: found: %v, want %v", c.url, err, c.found)
		}
	}
}

func TestEmbeddedGetsTheDirectory(t *testing.T) {
	t.Parallel()

	errFull := errors.New("disk full")
	got := ""
	_, err := dial.Open(t.Context(), "embedded:/var/data:1", dial.Config{
		Embedded: func(_ context.Context, dir string) (natsbus.InProcess, error) { got = dir; return nil, errFull },
	})

	if !errors.Is(err, errFull) || got != "/var/data:1" {
		t.Errorf("directory %q, error %v; want /var/data:1 and %v", got, err, errFull)
	}
}

func TestWhatCantBeOpenedIsAnError(t *testing.T) {
	t.Parallel()

	for url, says := range map[string]string{
		"kafka://u:secret@h":    `kafka://h: scheme "kafka": no bus for this kind of URL; use nats, tls, ws or wss://HOST:PORT, redis`,
		"user:secret":           "malformed URL",
		"secret":                "malformed URL",
		"memory:a b":            "malformed URL",
		"memory://a":            "malformed URL",
		"embedded://secret@dir": "malformed URL",
		"redis:secret":          "malformed URL",
		"nats://a,redis://b":    "malformed URL",
		"nats://a,b":            "malformed URL",
		"embedded:dir":          "woodwork up",
		"memory:":               "Config.Brokers",
	} {
		b, err := dial.Open(t.Context(), url, dial.Config{})

		if _, ok := errors.AsType[*bus.DialError](err); !ok || b != nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, %v; want a dial error that says %q", url, b, err, says)
		}

		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows credentials: %v", err)
		}
	}
}
