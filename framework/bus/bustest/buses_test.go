package bustest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/bustest"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
)

const (
	busesPage  = "../../../docs/buses.md"
	rewriteEnv = "WOODWORK_REWRITE_DOCS"
)

// column is what the page says of one bus beyond what all promise. The suite knows the booleans;
// TestBusesPageIsTrue compares them with what the adapter runs it with.
type column struct {
	title, suite           string // suite: the test that runs the suite, relative to this folder's parent
	postOnce, exact        bool
	cut, lapse             bool
	fill, restart          bool
	url, classes, body     string
	live, catchUp, mailbox string
	keys, calls, full, age string
}

func columns() []column {
	return []column{
		{
			title: "NATS JetStream", suite: "natsbus/conformance_test.go", cut: true, fill: true, restart: true,
			url:     "`nats://`, `tls://`, `ws://`, `wss://`",
			classes: "Local; Local-synced, Fast, Replicated by configuration",
			body:    "the server's `max_payload` less 16 KiB",
			live:    "RePublish to core NATS; one subscription for each stream that is read",
			catchUp: "back-pointers in the frames", mailbox: "one durable pull consumer for each component",
			keys: "key-value buckets; expiry by `Nats-TTL`", calls: "core NATS; no responders is known at once",
			full: "limits of the JetStream streams, the account, the server", age: "`MaxAge` of the JetStream stream, 24 h",
		},
		{
			title: "Redis", suite: "redisbus/conformance_test.go", postOnce: true, exact: true, cut: true, lapse: true,
			fill: true, restart: true,
			url: "`redis://`, `rediss://`, `redis+sentinel://`, `unix://`",
			classes: "Memory without an append-only file; Local, less up to two seconds before a kill of the server during a sync; " +
				"Local-synced with `appendfsync always`",
			body:    "1 MiB",
			live:    "PUBLISH in the script that appends; one connection for each process",
			catchUp: "ids made of attempt and index", mailbox: "scripts on one Redis stream for each mailbox",
			keys: "hashes changed by scripts", calls: "pub/sub",
			full: "`maxmemory` with `noeviction`", age: "`MaxAge` of each log, 24 h",
		},
		{
			title: "memory", suite: "membus/membus_test.go", postOnce: true, exact: true, lapse: true, fill: true,
			url:     "none: `membus.New`",
			classes: string(bus.Memory), body: fmt.Sprintf("%d MiB by default", membus.New(membus.Config{}).Info().MaxBody>>20),
			live: "a queue for each reader", catchUp: "direct", mailbox: "a queue for each component",
			keys: "a map", calls: "direct; no reply waits", full: "`MaxBytes`, 1 GiB by default", age: "`MaxAge`, 24 h by default",
		},
	}
}

func table(header []string, rows [][]string) string {
	var b strings.Builder

	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(header)
	fmt.Fprintf(&b, "|%s\n", strings.Repeat("---|", len(header)))

	for _, row := range rows {
		line(row)
	}

	return b.String()
}

func yes(is bool) string {
	if is {
		return "yes"
	}

	return "no"
}

func differences() string {
	all := columns()
	header := []string{""}

	for _, c := range all {
		header = append(header, c.title)
	}

	var rows [][]string

	add := func(what string, of func(column) string) {
		row := []string{what}
		for _, c := range all {
			row = append(row, of(c))
		}

		rows = append(rows, row)
	}

	add("URL", func(c column) string { return c.url })
	add("durability classes", func(c column) string { return c.classes })
	add("largest body", func(c column) string { return c.body })
	add("how live frames travel", func(c column) string { return c.live })
	add("how a reader finds what it missed", func(c column) string { return c.catchUp })
	add("mailboxes", func(c column) string { return c.mailbox })
	add("a letter with the id of one that waits is not stored again", func(c column) string { return yes(c.postOnce) })
	add("the backlog counts all mailboxes that wait, those that were handed out before too, and none twice",
		func(c column) string { return yes(c.exact) })
	add("keys", func(c column) string { return c.keys })
	add("calls", func(c column) string { return c.calls })
	add("what makes it full", func(c column) string { return c.full })
	add("how long frames are kept", func(c column) string { return c.age })
	add("tested with broken connections", func(c column) string { return yes(c.cut) })
	add("tested with a worker that is paused", func(c column) string { return yes(c.lapse) })
	add("tested with a full broker", func(c column) string { return yes(c.fill) })
	add("tested with a broker that is killed and started again", func(c column) string { return yes(c.restart) })

	return table(header, rows)
}

func promises() string {
	var (
		b    strings.Builder
		last string
		rows [][]string
	)

	flush := func() {
		if len(rows) > 0 {
			fmt.Fprintf(&b, "\n### %s\n\n%s", last, table([]string{"case", "behind faults, too"}, rows))
		}

		rows = nil
	}

	parts := map[string][]bustest.Promise{}

	var order []string

	for _, p := range bustest.Promises() {
		if parts[p.Part] == nil {
			order = append(order, p.Part)
		}

		parts[p.Part] = append(parts[p.Part], p)
	}

	for _, part := range order {
		last = part

		for _, p := range parts[part] {
			rows = append(rows, []string{p.Name, map[bool]string{true: "yes"}[p.Faults]})
		}

		flush()
	}

	return b.String()
}

// page is docs/buses.md.
func page() string {
	return `# Buses

<!-- Written by a test: ` + rewriteEnv + `=1 go test ./framework/bus/bustest -run TestBusesPage -->

Woodwork runs on each of these. A URL chooses; nothing ever falls back to another one. What an acknowledged append
survives, the durability class, is asked of the server and logged at start; the classes are explained in
[guarantees.md](guarantees.md).

## What differs

` + differences() + `
## What all promise

The conformance suite (` + "`framework/bus/bustest`" + `) has ` + strconv.Itoa(len(bustest.Promises())) + ` cases, and every
bus passes all of them. Some run a second time behind injected faults: unknown outcomes, and deliveries that are lost,
repeated, late or out of order.
` + promises()
}

// TestBusesPage keeps docs/buses.md up to date.
func TestBusesPage(t *testing.T) {
	t.Parallel()

	if os.Getenv(rewriteEnv) != "" {
		if err := os.WriteFile(busesPage, []byte(page()), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	now, err := os.ReadFile(busesPage)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(page(), string(now)); diff != "" {
		t.Errorf("docs/buses.md is out of date; rewrite it with\n\t%s=1 go test ./framework/bus/bustest -run TestBusesPage\n%s",
			rewriteEnv, diff)
	}
}

// TestBusesPageIsTrue compares what the page says with what the adapters run the suite with.
func TestBusesPageIsTrue(t *testing.T) {
	t.Parallel()

	for _, c := range columns() {
		source, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(c.suite)))
		if err != nil {
			t.Errorf("the page speaks of %s, which runs no suite: %v", c.title, err)

			continue
		}

		text := strings.ReplaceAll(string(source), " = func(", ": func(") // a hook of one broker is set behind the others

		for word, said := range map[string]bool{
			"PostOnce: true": c.postOnce, "BacklogExact: true": c.exact, "Cut: func(": c.cut, "Lapse: func(": c.lapse,
			"Fill: func(": c.fill, "Restart: func(": c.restart,
		} {
			if is := strings.Contains(text, word); is != said {
				t.Errorf("%s: the page says %v of %q, the suite runs with %v; correct columns in this file", c.title, said, word, is)
			}
		}
	}
}
