package main_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/services/llm/provider/providertest"
)

// TestACancelOverHTTPReachesTheProvider runs the services as processes against a provider that never ends its answers.
// A DELETE at the input closes the connection from the llm service to the provider, which the provider sees, and ends
// the events at the output as cancelled with the text so far.
func TestACancelOverHTTPReachesTheProvider(t *testing.T) {
	t.Parallel()

	const (
		cancels = 100
		bound   = 100 * time.Millisecond
	)

	format := providertest.OpenAI()
	provider := providertest.New(func(c *providertest.Conn) {
		c.Events()
		c.Send(format.Start(1), format.Delta("so far"))
		c.Hang()
	})
	t.Cleanup(provider.Close)

	in, out := freeAddress(t), freeAddress(t)
	env := []string{"NATS_URL=" + embeddedtest.Run(t).URL(), "OPENAI_BASE_URL=" + provider.URL(), "OPENAI_API_KEY=none"}
	start(t, nil, env, "woodwork-llm")
	start(t, nil, env, "woodwork-input", "-http", in, "-events-url", "http://"+out)
	start(t, nil, env, "woodwork-output", "-http", out)

	took := make([]time.Duration, 0, cancels)

	for i := range cancels {
		turns := fmt.Sprintf("http://%s/v1/sessions/user-%d%%40example/turns", in, i)
		posted := send(t, http.MethodPost, turns, "tell me everything")
		answer := events(t, posted["events"])
		answer.until(`"text":"so far"`)

		closed := make(chan time.Time, 1)

		go func() {
			<-provider.Gone()

			closed <- time.Now()
		}()

		begun := time.Now()

		send(t, http.MethodDelete, turns+"/"+posted["turn"]+"?reason=enough", "")

		took = append(took, (<-closed).Sub(begun))
		answer.until(`"state":"cancelled","reason":"enough"`)
	}

	slices.Sort(took)
	t.Logf("from the request to cancel to the closed connection at the provider, %d times: p50 %v, p99 %v, most %v",
		cancels, took[cancels/2], took[cancels*99/100-1], took[cancels-1])

	if p99 := took[cancels*99/100-1]; p99 > bound {
		t.Errorf("p99 %v, want at most %v", p99, bound)
	}
}

// send sends a request, again while the server is not there yet, and returns the JSON object it answers.
func send(t *testing.T, method, url, body string) map[string]string {
	t.Helper()

	response := request(t, method, url, body)
	defer response.Body.Close()

	var answer map[string]string
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusAccepted {
		t.Fatalf("%s %s: %s %v, %v", method, url, response.Status, answer, err)
	}

	return answer
}

func request(t *testing.T, method, url, body string) *http.Response {
	t.Helper()

	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

	for {
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}

		response, err := client.Do(r)
		if errors.Is(err, syscall.ECONNREFUSED) {
			continue
		}

		if err != nil {
			t.Fatal(err)
		}

		return response
	}
}

// answer is a response of server-sent events that is being read.
type answer struct {
	t     *testing.T
	lines *bufio.Scanner
}

func events(t *testing.T, url string) *answer {
	t.Helper()

	response := request(t, http.MethodGet, url, "")
	t.Cleanup(func() {
		_, _ = io.Copy(io.Discard, response.Body) // it has mostly ended
		_ = response.Body.Close()
	})

	return &answer{t: t, lines: bufio.NewScanner(response.Body)}
}

// until reads up to a line that holds a text.
func (a *answer) until(text string) {
	a.t.Helper()

	for a.lines.Scan() {
		if strings.Contains(a.lines.Text(), text) {
			return
		}
	}

	a.t.Fatalf("the events end without %s: %v", text, a.lines.Err())
}

func freeAddress(t *testing.T) string {
	t.Helper()

	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	if err := l.Close(); err != nil {
		t.Fatal(err)
	}

	return l.Addr().String()
}
