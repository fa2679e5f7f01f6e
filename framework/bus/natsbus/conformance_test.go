package natsbus

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/bustest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	bustest.Run(t, bustest.Features{Lease: time.Second}, func(t *testing.T) bustest.Harness {
		t.Helper()
		file := filepath.Join(t.TempDir(), "server.conf")
		if err := os.WriteFile(file, []byte("jetstream { max_file_store: 128MB }"), 0o600); err != nil {
			t.Fatal(err)
		}

		s := runServer(t, file)
		h := harness(s.url)
		h.Fill = func(t testing.TB) func() {
			t.Helper()

			return fillStore(t, s.url)
		}
		h.Restart = func(t testing.TB, meanwhile func()) {
			t.Helper()
			s.kill()
			meanwhile()
			s.start(t)
		}

		return h
	})
}

func harness(url string) bustest.Harness {
	return bustest.Harness{
		Open: func(t testing.TB) bus.Bus {
			t.Helper()

			return must(Open(t.Context(), Config{URL: url, AppendTimeout: 2 * time.Second}))(t)
		},
		Aged: func(t testing.TB, age time.Duration) bustest.Harness {
			t.Helper()

			return aged(t, url, age)
		},
		Cut: func(t testing.TB, b bus.Bus) {
			t.Helper()
			if nb, ok := b.(*Bus); ok {
				if err := nb.nc.ForceReconnect(); err != nil {
					t.Fatal(err)
				}
			}
		},
	}
}

// aged is the harness of an application of its own whose frames are kept for age, which may be shorter than a
// configuration allows.
func aged(t testing.TB, url string, age time.Duration) bustest.Harness {
	t.Helper()

	cfg := Config{URL: url, App: "aged-" + strings.ToLower(rand.Text()[:12]), Shards: 1, AppendTimeout: 2 * time.Second}
	b := must(Open(t.Context(), cfg))(t)
	t.Cleanup(func() { _ = b.Close(context.WithoutCancel(t.Context())) })
	c := b.logConfig(0, 1)
	c.MaxAge, c.Duplicates = age, min(age, duplicates)
	must(b.js.UpdateStream(t.Context(), c))(t)

	return bustest.Harness{
		Open: func(t testing.TB) bus.Bus {
			t.Helper()

			return must(Open(t.Context(), cfg))(t)
		},
		Wipe: func(t testing.TB, id bus.StreamID) {
			t.Helper()
			wipe(t, must(b.js.Stream(t.Context(), c.Name))(t), must(b.ns.Log(id.Session, id.Stream))(t))
		},
	}
}

// wipe deletes the entries of a subject one by one: the server refuses a purge.
func wipe(t testing.TB, logs jetstream.Stream, subject string) {
	t.Helper()
	for {
		m, err := logs.GetLastMsgForSubject(t.Context(), subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return
		}
		if err == nil {
			err = logs.DeleteMsg(t.Context(), m.Sequence)
		}
		if err != nil && !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) { // it has expired meanwhile
			t.Error(err)

			return
		}
	}
}

// fillStore fills a server's store with something else up to its limit, and returns what removes that.
func fillStore(t testing.TB, url string) (free func()) {
	t.Helper()
	const name, size = "filling", 512 << 10
	nc := must(nats.Connect(url))(t)
	t.Cleanup(nc.Close)
	js := must(jetstream.New(nc))(t)
	must(js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name}))(t)

	for {
		_, err := js.Publish(t.Context(), name, make([]byte, size))
		var ae *jetstream.APIError
		if errors.As(err, &ae) && ae.ErrorCode == codeInsufficient {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}

	return func() {
		if err := js.DeleteStream(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
}
