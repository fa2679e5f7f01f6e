package natsbus

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// TestMaxBodyFollowsTheServer starts a server again that takes less than before.
func TestMaxBodyFollowsTheServer(t *testing.T) {
	t.Parallel()

	file := filepath.Join(t.TempDir(), "server.conf")
	limit := func(size string) {
		if err := os.WriteFile(file, []byte("jetstream {}\nmax_payload: "+size+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	limit("1MB")

	s := runServer(t, file)
	b := open(t, Config{URL: s.url, AppendTimeout: time.Second})
	before := b.Info().MaxBody
	large := frame(testID(1), 0, "")
	large.Body = bytes.Repeat([]byte("x"), before)
	large.Lengths = []int{len(large.Body)}
	last := must(b.Append(t.Context(), large, nil))(t)

	s.kill()
	limit("256KB")
	s.start(t)
	awaitConnection(t, b, func(c bus.Connection) bool { return c.Up && c.Lost > 0 })

	after := b.Info().MaxBody
	if after >= before || after <= 0 {
		t.Fatalf("the bus takes %d bytes, was %d", after, before)
	}

	large.First, large.Lengths = 1, []int{len(large.Body)}
	if _, err := b.Append(t.Context(), large, last); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("append of %d bytes: %v, want %v", before, err, bus.ErrTooLarge)
	}

	large.Body = large.Body[:after]
	large.Lengths = []int{after}
	must(b.Append(t.Context(), large, last))(t)
}
