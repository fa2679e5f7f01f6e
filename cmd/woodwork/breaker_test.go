package main_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/chaos/proxy"
	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/registry"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

// llm starts a language model that tells of changes only when it has a reason to.
func (s *shop) llm(id string, args ...string) *process {
	s.t.Helper()

	return s.program("woodwork-llm", append([]string{"-instance", id, "-pace", "0s", "-registry-ttl", "1h"}, args...)...)
}

// shows waits until the registry says of an instance that takes work that a breaker is in a condition.
func (s *shop) shows(id, target, condition string) {
	s.t.Helper()

	r, err := s.client.Registry(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}

	for {
		for _, i := range r.Find(registry.Query{Instance: id, State: registry.Ready}) {
			for _, b := range i.Breakers {
				if b.Name == target && b.Condition() == condition {
					return
				}
			}
		}

		s.event(func(registry.Event) bool { return true })
	}
}

// ask has one turn of the language model and returns how its answer ended.
func (s *shop) ask(session string) stream.End {
	s.t.Helper()

	ref, err := s.client.Post(s.t.Context(), framework.Post{Session: session, Component: "llm"}, []byte("hi"))
	if err != nil {
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
		case e.Info.Root == ref.Turn && e.Event.Kind == stream.KindEnd:
			return e.Event.End
		}
	}
}

// TestBreakersFromTheCommandLine on both kinds of server.
func TestBreakersFromTheCommandLine(t *testing.T) {
	t.Parallel()

	for name, url := range map[string]string{
		"nats": embeddedtest.Run(t).URL(), "redis": redistest.Run(t, redistest.Options{Fsync: redistest.EverySecond}).URL(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			breakersFromTheCommandLine(t, shopAt(t, url))
		})
	}
}

func breakersFromTheCommandLine(t *testing.T, s *shop) {
	t.Helper()

	first := s.llm("first")
	s.shows("first", "offline", "closed")

	if table := s.run("breaker", "ls"); len(fields(table)) != 2 || !aligned(table, "TARGET", "offline") ||
		!aligned(table, "STATE", "closed") || !aligned(table, "MODE", "auto") || !aligned(table, "REASON", "-") {
		t.Errorf("ls prints\n%s", table)
	}

	begun := time.Now()
	said := s.run("breaker", "open", "offline", "-reason", "moving house", "-for", "1h")
	wantText(t, "open", said, "offline is forced open for 1h0m0s; 1 instance has such a breaker now")
	s.shows("first", "offline", "open (forced: moving house)")
	t.Logf("it was obeyed %v after the command was called", time.Since(begun).Round(time.Millisecond))

	end := s.ask("refused")
	if end.State != bus.Failed || !strings.Contains(end.Reason, "an operator does not want it to be asked: moving house") {
		t.Errorf("a turn ended with %+v", end)
	}

	s.llm("second") // when the command has ended
	s.shows("second", "offline", "open (forced: moving house)")

	wantText(t, "component ls", s.run("component", "ls"), "offline=open (forced: moving house)")
	wantText(t, "component info", s.run("component", "info", "first"), "offline=open (forced: moving house)")

	table := s.run("breaker", "ls", "-component", "llm")
	if lines := fields(table); len(lines) != 6 || lines[1][1] != "first" || lines[2][1] != "second" || len(lines[3]) > 0 ||
		strings.Join(lines[5][:3], " ") != "offline (all) open" || lines[5][4] != "1h0m0s" {
		t.Errorf("ls prints\n%s", table)
	}

	wantText(t, "close", s.run("breaker", "close", "-component", "llm", "offline"), "offline in llm is forced closed; 2 instances")
	s.shows("first", "offline", "closed (forced)")
	s.shows("second", "offline", "closed (forced)")

	if end := s.ask("answered"); end.State != bus.Completed {
		t.Errorf("a turn ended with %+v", end)
	}

	s.run("breaker", "open", "offline", "-for", "1s") // in place of what was said before
	s.shows("first", "offline", "closed")
	s.run("breaker", "close", "offline")
	s.shows("first", "offline", "closed (forced)")
	wantText(t, "auto", s.run("breaker", "auto", "offline"), "offline is left to itself; 2 instances have such a breaker now")
	s.shows("first", "offline", "closed")
	s.shows("second", "offline", "closed")

	wantText(t, "unknown", s.run("breaker", "open", "db/1.2", "--component=web"), "db/1.2 in web is forced open; no instance has")
	breakersAsJSON(t, s)

	s.run("breaker", "auto", "db/1.2")

	if table := s.run("breaker", "ls"); len(fields(table)) != 3 {
		t.Errorf("when all was taken back ls prints\n%s", table)
	}

	said = `"target":"offline","mode":`
	first.until(first.stderr, said+`"open","reason":"moving house"`, said+`"closed"`, said+`"open"`, said+`"auto"`, said+`"closed"`,
		said+`"auto"`)
}

// breakersAsJSON looks at two closed breakers and one override of which nobody knows.
func breakersAsJSON(t *testing.T, s *shop) {
	t.Helper()

	var got []string

	for line := range strings.Lines(s.run("breaker", "ls", "--json")) {
		var l struct {
			breaker.Status

			Component string            `json:"component"`
			Instance  string            `json:"instance"`
			Override  registry.Override `json:"override"`
		}

		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}

		if l.Since.IsZero() == l.Override.Made.IsZero() {
			t.Errorf("a line of neither kind: %s", line)
		}

		got = append(got, strings.Join([]string{
			l.Component, l.Instance, l.Name, string(l.State), string(l.Mode), l.Override.String(), string(l.Override.Mode),
		}, " "))
	}

	want := []string{"llm first offline closed auto  ", "llm second offline closed auto  ", "     db/1.2 in web open"}
	if !slices.Equal(got, want) {
		t.Errorf("ls --json says %q", got)
	}
}

// TestAForceWhoseOutcomeIsUnknown: the connection breaks when the server has stored it, before it can say so.
func TestAForceWhoseOutcomeIsUnknown(t *testing.T) {
	t.Parallel()

	const tries = 5 // the answer may come before the connection breaks

	s := newShop(t)

	r, err := s.client.Registry(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	for range tries {
		link, err := proxy.Listen(t.Context(), strings.TrimPrefix(s.url, "nats://"))
		if err != nil {
			t.Fatal(err)
		}

		link.Delay(100 * time.Millisecond)

		p := start(t, nil, []string{"NATS_URL=nats://" + link.Addr()}, "woodwork", "breaker", "open", "db")
		for all := range r.Overrides(t.Context()) {
			if len(all) > 0 {
				break
			}
		}

		link.Stall(proxy.Down)

		code := p.wait()
		link.Close()

		if code == 1 {
			wantText(t, "the command", lastLine(p.stderr.String()), "it is not known whether this was stored; run the command again", "db")

			return
		}

		s.run("breaker", "auto", "db")

		for all := range r.Overrides(t.Context()) {
			if len(all) == 0 {
				break
			}
		}
	}

	t.Errorf("the answer came first, %d times", tries)
}
