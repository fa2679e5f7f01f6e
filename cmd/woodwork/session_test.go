package main_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/session"
	"github.com/woodwork-go/woodwork/framework/stream"
)

func TestSessionsFromTheCommandLine(t *testing.T) {
	t.Parallel()

	s := newShop(t)
	start(t, nil, []string{"NATS_URL=" + s.url, "WOODWORK_PACE=0s"}, "woodwork-llm")

	_, err := s.client.Sessions().Create(t.Context(), session.Session{
		ID: "notes", Graph: session.Chain("input", "tool"), Metadata: map[string]string{"owner": "ann\x1b[31m"},
	})
	if err != nil {
		t.Fatal(err)
	}

	cfg := framework.Config{URL: s.url, Tenant: "acme"}

	acme, err := framework.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer acme.Close(t.Context())

	if _, err := acme.Sessions().Create(t.Context(), session.Session{ID: "notes"}); err != nil {
		t.Fatal(err)
	}

	s.talk("diary")

	table := s.run("session", "ls")
	lines := fields(table)

	if len(lines) != 4 || lines[1][0] != "diary" || lines[2][0] != "notes" || lines[3][0] != "t--acme--notes" ||
		!aligned(table, "TENANT", "-", "-", "acme") || !aligned(table, "STATE ", "active", "active", "active") ||
		!aligned(table, "STATE OF", "llm", "-", "-") {
		t.Errorf("ls prints\n%s", table)
	}

	for want, args := range map[int][]string{
		0: {"-older-than", "1h"},
		1: {"-tenant", "acme"},
		2: {"-component", "llm", "-state", "active"},
		3: {"-older-than", "1ns"},
	} {
		if got := fields(s.run(append([]string{"session", "ls"}, args...)...)); len(got) != 1+want {
			t.Errorf("ls %v prints %v, want %d sessions", args, got, want)
		}
	}

	info := s.run("session", "info", "notes")
	wantText(t, "info", info, "session", "notes", "active", "input > tool", "owner = ann [31m")

	var view struct {
		ID     string `json:"id"`
		Tenant string `json:"tenant"`
		State  string `json:"state"`
	}

	if err := json.Unmarshal([]byte(s.run("session", "info", "--json", "-tenant", "acme", "notes")), &view); err != nil {
		t.Fatal(err)
	}

	if view.ID != "notes" || view.Tenant != "acme" || view.State != "active" {
		t.Errorf("info --json says %+v", view)
	}

	wantText(t, "end", s.run("session", "end", "diary", "-reason", "enough"), "ended session diary")

	if ended := fields(s.run("session", "ls", "-state", "ended")); len(ended) != 2 || ended[1][0] != "diary" {
		t.Errorf("ended are %v", ended)
	}

	if json := s.run("session", "info", "diary", "-json"); !strings.Contains(json, `"components":[]`) {
		t.Errorf("the session that ended is %s", json)
	}
}

// talk has one turn of the language model in a session and waits for the end of its answer.
func (s *shop) talk(session string) {
	s.t.Helper()

	if _, err := s.client.Post(s.t.Context(), framework.Post{Session: session, Component: "llm"}, []byte("hi")); err != nil {
		s.t.Fatal(err)
	}

	f, err := s.client.Follow(s.t.Context(), stream.FollowConfig{Session: session})
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()

	for {
		e, err := f.Next(s.t.Context())

		switch {
		case err != nil:
			s.t.Fatal(err)
		case e.Event.Kind == stream.KindEnd:
			return
		}
	}
}
