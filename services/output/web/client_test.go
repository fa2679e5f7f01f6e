package web_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/woodwork-go/woodwork/services/internal/sessiontest"
	"github.com/woodwork-go/woodwork/services/output/web"
)

// event is one event as a browser would understand it.
type event struct {
	ID, Kind, Data string
}

// browser reads one response as a browser does: an event counts once its blank line has arrived.
type browser struct {
	in   *bufio.Scanner
	body io.Closer

	comments int
	retry    string
	lastID   string
}

// serve starts a server for a session.
func serve(t testing.TB, s *sessiontest.Session, cfg web.Config) *httptest.Server {
	t.Helper()

	server := httptest.NewServer(web.NewHandler(s, cfg))
	t.Cleanup(server.Close)

	return server
}

func address(server *httptest.Server, session, query string) string {
	return server.URL + "/v1/sessions/" + session + "/events" + query
}

// request sends a request and ends the test when it can't be sent.
func request(ctx context.Context, t testing.TB, method, url string, head map[string]string) *http.Response {
	t.Helper()

	r, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}

	for name, value := range head {
		r.Header.Set(name, value)
	}

	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dialSmall}}

	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}

	return response
}

const kernelBuffer = 64 << 10

// dialSmall keeps the kernel from taking much for a client that doesn't read.
func dialSmall(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if tcp, ok := c.(*net.TCPConn); ok && err == nil {
		err = tcp.SetReadBuffer(kernelBuffer)
	}

	return c, err
}

// open begins to read a session's events after an id.
func open(ctx context.Context, t testing.TB, url, lastID string) *browser {
	t.Helper()

	//nolint:bodyclose // The browser closes it.
	response := request(ctx, t, http.MethodGet, url, map[string]string{"Last-Event-ID": lastID})
	if response.StatusCode != http.StatusOK {
		t.Fatalf("status %s", response.Status)
	}

	return read(response.Body)
}

func read(body io.ReadCloser) *browser {
	b := &browser{in: bufio.NewScanner(body), body: body}
	b.in.Buffer(nil, 1<<26)

	return b
}

// next returns the next event, or an error at the end of the response.
func (b *browser) next() (event, error) {
	var e event

	for b.in.Scan() {
		name, value, _ := strings.Cut(b.in.Text(), ":")
		value = strings.TrimPrefix(value, " ")

		switch {
		case b.in.Text() == "" && e.Kind != "":
			b.lastID = e.ID

			return e, nil
		case b.in.Text() == "":
		case name == "":
			b.comments++
		case name == "id":
			e.ID = value
		case name == "event":
			e.Kind = value
		case name == "data":
			e.Data = value
		case name == "retry":
			b.retry = value
		}
	}

	return event{}, errors.Join(io.EOF, b.in.Err())
}

// events returns the next n events.
func (b *browser) events(t testing.TB, n int) []event {
	t.Helper()

	var got []event

	for len(got) < n {
		e, err := b.next()
		if err != nil {
			t.Fatalf("after %d of %d events: %v", len(got), n, err)
		}

		got = append(got, e)
	}

	return got
}

func (b *browser) close(t testing.TB) {
	t.Helper()

	if err := b.body.Close(); err != nil {
		t.Error(err)
	}
}

// text applies events to what a page shows of one answer.
func text(events []event) (string, error) {
	var chunks []string

	for _, e := range events {
		var d struct {
			Index uint64 `json:"index"`
			From  uint64 `json:"from"`
			Text  string `json:"text"`
			Data  []byte `json:"data"`
		}
		if err := json.Unmarshal([]byte(e.Data), &d); err != nil {
			return "", fmt.Errorf("event %v: %w", e, err)
		}

		switch e.Kind {
		case "chunk":
			if d.Index != uint64(len(chunks)) {
				return "", fmt.Errorf("chunk %d after %d chunks", d.Index, len(chunks))
			}

			chunks = append(chunks, d.Text+string(d.Data))
		case "superseded":
			chunks = chunks[:d.From]
		}
	}

	return strings.Join(chunks, ""), nil
}
