package composetest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const answerTimeout = 30 * time.Second

// user talks to a project over HTTP, as curl does.
type user struct {
	http          http.Client
	input, output string
}

func (p *project) user(t *testing.T) *user {
	t.Helper()

	return &user{
		http:   http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, // as curl: a connection per command
		input:  p.url(t, "input", 8080),
		output: p.url(t, "output", 8081),
	}
}

// ask posts a prompt and returns its turn's id.
func (u *user) ask(ctx context.Context, session, prompt string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost,
		u.input+"/v1/sessions/"+session+"/turns", strings.NewReader(prompt))
	if err != nil {
		return "", fmt.Errorf("post prompt: %w", err)
	}

	response, err := u.http.Do(request)
	if err != nil {
		return "", fmt.Errorf("post prompt: %w", err)
	}
	defer response.Body.Close()

	if response.StatusCode != http.StatusAccepted {
		return "", fmt.Errorf("post prompt: %s", response.Status)
	}

	var ref struct {
		Turn string `json:"turn"`
	}
	if err := json.NewDecoder(response.Body).Decode(&ref); err != nil {
		return "", fmt.Errorf("read turn: %w", err)
	}

	return ref.Turn, nil
}

// answer is what a user saw of a turn.
type answer struct {
	text   string
	chunks int
	state  string
}

// read returns the answer to a turn when it has ended.
func (u *user) read(ctx context.Context, session, turn string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet,
		u.output+"/v1/sessions/"+session+"/events?turn="+url.QueryEscape(turn), http.NoBody)
	if err != nil {
		return answer{}, fmt.Errorf("read answer: %w", err)
	}

	response, err := u.http.Do(request)
	if err != nil {
		return answer{}, fmt.Errorf("read answer: %w", err)
	}
	defer response.Body.Close()

	if response.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("read answer: %s", response.Status)
	}

	return collect(bufio.NewScanner(response.Body))
}

// collect reads server-sent events until an answer ends.
func collect(lines *bufio.Scanner) (answer, error) {
	var (
		got  answer
		kind string
	)

	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		if field == "event" {
			kind = value
		}

		if field != "data" {
			continue
		}

		var data struct {
			Text  string `json:"text"`
			State string `json:"state"`
		}
		if err := json.Unmarshal([]byte(value), &data); err != nil {
			return got, fmt.Errorf("read event %s: %w", kind, err)
		}

		switch kind {
		case "chunk":
			got.text += data.Text
			got.chunks++
		case "end":
			got.state = data.State

			return got, nil
		}
	}

	return got, fmt.Errorf("the events ended before the answer did: %w", lines.Err())
}

// converse asks and checks that a complete, streamed answer to the prompt comes back. It returns the turn's id.
func (u *user) converse(t *testing.T, session, prompt string) string {
	t.Helper()

	turn, err := u.ask(t.Context(), session, prompt)
	if err != nil {
		t.Fatal(err)
	}

	u.wantAnswer(t, session, turn, prompt)

	return turn
}

func (u *user) wantAnswer(t *testing.T, session, turn, prompt string) {
	t.Helper()

	got, err := u.read(t.Context(), session, turn)
	if err != nil {
		t.Fatal(err)
	}

	if got.state != "completed" || !strings.Contains(got.text, prompt) || got.chunks < 2 {
		t.Errorf("answer is %s in %d chunks: %q; want it completed, in several chunks, with %q",
			got.state, got.chunks, got.text, prompt)
	}
}
