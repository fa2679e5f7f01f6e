package edge_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/session"
	"github.com/woodwork-go/woodwork/framework/stream"
	input "github.com/woodwork-go/woodwork/services/input/web"
	output "github.com/woodwork-go/woodwork/services/output/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// canary is part of what acme's users say, and of nothing else.
const canary = "only-acme-may-read-this"

// paths are what a client may write in place of a session's id, as it is in the address.
func paths() []string {
	return []string{
		"A", "a", "t--acme--A", "T--acme--A", "t--acme--a", "acme--A", "e--t--acme--A", "t--beta--A", "_timeline", "_session",
		"..", ".", "%2e%2e", "..%2Ft--acme--A", "%2Ft--acme--A", "x/../t--acme--A", "t--acme--A%2Fevents", "*", "%2A", "%3E",
		"t--acme--*", "t--acme--A.%3E", "t--acme--A.echo", "t--acme--A%00", "t--acme--A%0D%0A", "%7Bt--acme--A%7D",
		"t--acme--A%3Fturn=t1", "t%2D%2Dacme%2D%2DA", strings.Repeat("A", 100),
	}
}

// TestTheEdgesKeepTenantsApart: acme's users and beta's write to edges of their own, which share a bus, and others to
// edges without a tenant. Whatever those write in place of a session's id, with the ids of turns and events that acme's
// got, they reach nothing of acme's.
func TestTheEdgesKeepTenantsApart(t *testing.T) {
	t.Parallel()

	broker := membus.NewBroker(membus.Config{})
	echo(t, broker)

	acme, beta, others := newTenant(t, broker, "acme"), newTenant(t, broker, "beta"), newTenant(t, broker, "")
	turn := acme.says("A", canary)
	said := acme.reads("A", turn, "", "")

	if !strings.Contains(said, canary) {
		t.Fatalf("acme reads %q", said)
	}

	before := controls(t, broker)

	for _, path := range paths() {
		beta.trespasses(path, turn, lastID(said))
		others.trespasses(path, turn, lastID(said))
	}

	if diff := cmp.Diff(said, acme.reads("A", turn, "", "")); diff != "" {
		t.Errorf("what acme reads has changed (-before +after):\n%s", diff)
	}

	if diff := cmp.Diff(before, controls(t, broker)); diff != "" {
		t.Errorf("acme's turns were cancelled (-before +after):\n%s", diff)
	}
}

// echo runs a component that answers with what was said.
func echo(t *testing.T, broker *membus.Broker) {
	t.Helper()

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)

	s := framework.Service{Name: "llm", Handler: func(ctx context.Context, turn *framework.Turn) error {
		said, err := turn.Input.ReadAll(ctx)

		return errors.Join(err, turn.Output.Send(ctx, said))
	}}

	go func() { ended <- framework.Run(ctx, s, framework.Config{Bus: broker.Open()}) }()

	t.Cleanup(func() {
		cancel()

		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// controls returns what was cancelled in acme's session.
func controls(t *testing.T, broker *membus.Broker) []session.Cancel {
	t.Helper()

	b := broker.Open()
	store := stream.NewStore(b, b.Info(), stream.Config{})
	defer store.Close()

	w, err := session.NewWatch(t.Context(), store, "t--acme--A")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()

	return w.Known()
}

// tenant are the edges of a tenant, as its users see them.
type tenant struct {
	t               *testing.T
	prompts, events string // their addresses
	users           http.Client
}

func newTenant(t *testing.T, broker *membus.Broker, name string) *tenant {
	t.Helper()

	client, err := framework.Connect(t.Context(), framework.Config{Bus: broker.Open(), Tenant: name})
	if err != nil {
		t.Fatal(err)
	}

	in := httptest.NewServer(input.NewHandler(client, input.Config{}))
	out := httptest.NewServer(output.NewHandler(client, output.Config{}))

	t.Cleanup(func() {
		in.Close()
		out.Close()

		if err := client.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})

	return &tenant{t, in.URL, out.URL, http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
}

// ask sends a request and returns the answer's status and body: all of it, or up to the line that holds the text given.
func (n *tenant) ask(method, address, body string, head map[string]string, upTo string) (int, string) {
	n.t.Helper()

	ctx, cancel := context.WithTimeout(n.t.Context(), time.Minute)
	defer cancel()

	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}

	for key, value := range head {
		r.Header.Set(key, value)
	}

	answer, err := n.users.Do(r)
	if err != nil {
		n.t.Fatal(err)
	}
	defer answer.Body.Close()

	var said strings.Builder

	for lines := bufio.NewReader(answer.Body); ; {
		line, err := lines.ReadString('\n')
		said.WriteString(line)

		switch {
		case errors.Is(err, io.EOF), upTo != "" && strings.Contains(line, upTo):
			return answer.StatusCode, said.String()
		case err != nil:
			n.t.Fatalf("%s: %v, after %s", address, err, said.String())
		}
	}
}

// says posts a prompt in a session and returns its turn; none where the edge refuses the path.
func (n *tenant) says(path, words string) (turn string) {
	n.t.Helper()

	status, body := n.ask(http.MethodPost, n.prompts+"/v1/sessions/"+path+"/turns", words, map[string]string{
		"Idempotency-Key": "the same for all", "Content-Type": "text/plain",
	}, "")

	var accepted struct {
		Turn string `json:"turn"`
	}

	switch err := json.Unmarshal([]byte(body), &accepted); {
	case status == http.StatusAccepted && err == nil:
		return accepted.Turn
	case status < http.StatusBadRequest || status >= http.StatusInternalServerError:
		n.t.Errorf("path %q: status %d, %s", path, status, body)
	}

	return ""
}

// reads returns all events of a turn, or those of the session up to some words, from the one behind an id on.
func (n *tenant) reads(path, turn, after, upTo string) string {
	n.t.Helper()

	query := ""
	if turn != "" {
		query = "?turn=" + url.QueryEscape(turn)
	}

	status, body := n.ask(http.MethodGet, n.events+"/v1/sessions/"+path+"/events"+query, "", map[string]string{
		"Last-Event-ID": after,
	}, upTo)

	if status != http.StatusOK {
		n.t.Errorf("path %q: status %d, %s", path, status, body)
	}

	return body
}

// trespasses tries every request with a path, and with a turn and an event of acme's.
func (n *tenant) trespasses(path, turn, event string) {
	n.t.Helper()

	const words = "not of acme"

	own := n.says(path, words)
	if own == "" {
		return // there is no such path, so nothing behind it
	}

	for what, got := range map[string]string{
		"its turn": n.reads(path, own, "", ""), "its turn, behind another's event": n.reads(path, own, event, ""),
		"all": n.reads(path, "", "", words),
	} {
		if strings.Contains(got, canary) || !strings.Contains(got, "event: ") {
			n.t.Errorf("path %q: of %s it reads %s", path, what, got)
		}
	}

	for _, of := range []string{"", "/" + turn, "/" + own} {
		status, body := n.ask(http.MethodDelete, n.prompts+"/v1/sessions/"+path+"/turns"+of, "", nil, "")
		if status != http.StatusAccepted || strings.Contains(body, canary) {
			n.t.Errorf("path %q, cancel %q: status %d, %s", path, of, status, body)
		}
	}
}

// lastID returns the id of the last event but one: behind the last one there is nothing to read.
func lastID(events string) string {
	blocks := bytes.Split([]byte(events), []byte("id: "))
	id, _, _ := bytes.Cut(blocks[len(blocks)-2], []byte("\n"))

	return string(id)
}
