package redisbus

import (
	"cmp"
	"context"
	"crypto/rand"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits for what must happen.
const patience = 20 * time.Second

// open opens a bus that ends with the test. Unless the test is about time-outs a try may take as long as a busy machine
// makes it.
func open(tb testing.TB, cfg Config) *Bus {
	tb.Helper()
	cfg.AppendTimeout = cmp.Or(cfg.AppendTimeout, patience)
	b, err := Open(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := b.Close(context.WithoutCancel(tb.Context())); err != nil {
			tb.Errorf("close: %v", err)
		}
	})

	return b
}

// single opens a bus on a server of its own.
func single(tb testing.TB) *Bus {
	tb.Helper()

	return open(tb, Config{URL: redistest.Run(tb, redistest.Options{}).URL()})
}

// admin returns a client of the server at a URL, for what the bus doesn't do.
func admin(tb testing.TB, url string) *redis.Client {
	tb.Helper()
	opts := must(redis.ParseURL(url))(tb)
	opts.MaxRetries = 3
	c := redis.NewClient(opts)
	tb.Cleanup(func() { _ = c.Close() })

	return c
}

// cut breaks all connections of clients with this name.
func cut(tb testing.TB, c *redis.Client, name string) {
	tb.Helper()
	for line := range strings.Lines(must(c.ClientList(tb.Context()).Result())(tb)) {
		facts := map[string]string{}
		for fact := range strings.FieldsSeq(line) {
			k, v, _ := strings.Cut(fact, "=")
			facts[k] = v
		}
		if facts["name"] == name {
			must(c.ClientKillByFilter(tb.Context(), "ID", facts["id"]).Result())(tb)
		}
	}
}

// named returns a name that no other client has.
func named() string { return "test-" + rand.Text() }

func testID(n int) bus.StreamID {
	return bus.StreamID{Session: "s" + strconv.Itoa(n), Stream: "out"}
}

// frame is a chunk of text.
func frame(id bus.StreamID, index int, text string) *bus.Frame {
	return &bus.Frame{
		ID: id, Attempt: 1, Writer: "w", First: uint64(index), Lengths: []int{len(text)}, Type: bus.Text,
		Body: []byte(text),
	}
}

// fill appends n frames whose texts are their indexes and returns the last entry.
func fill(tb testing.TB, b *Bus, id bus.StreamID, n int) *bus.Entry {
	tb.Helper()
	var last *bus.Entry
	for i := range n {
		last = must(b.Append(tb.Context(), frame(id, i, strconv.Itoa(i)), last))(tb)
	}

	return last
}

// must returns v, or fails the test with err.
func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}

		return v
	}
}

// read collects what Read yields as first indexes.
func read(tb testing.TB, b *Bus, last *bus.Entry, from bus.Cursor) []int {
	tb.Helper()
	var got []int
	for e, err := range b.Read(tb.Context(), last, from) {
		if err != nil {
			tb.Fatal(err)
		}
		got = append(got, int(e.First))
	}

	return got
}
