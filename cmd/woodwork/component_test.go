package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
	"github.com/woodwork-go/woodwork/framework/call"
	"github.com/woodwork-go/woodwork/framework/registry"
)

// shop is a server with processes of the component tool, and a client that watches them.
type shop struct {
	t      *testing.T
	url    string
	client *framework.Client
	events <-chan registry.Event
}

func newShop(t *testing.T) *shop {
	t.Helper()

	return shopAt(t, embeddedtest.Run(t).URL())
}

// shopAt is a shop on the server at a URL.
func shopAt(t *testing.T, url string) *shop {
	t.Helper()

	s := &shop{t: t, url: url}

	var err error
	if s.client, err = framework.Connect(t.Context(), framework.Config{URL: s.url}); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = s.client.Close(context.WithoutCancel(t.Context())) })

	r, err := s.client.Registry(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	events, over := make(chan registry.Event, 1000), make(chan struct{})
	s.events = events

	go func() {
		defer close(over)

		for e := range r.Events(ctx) {
			events <- e
		}
	}()

	t.Cleanup(func() { cancel(); <-over })

	return s
}

// open starts a process of the tool and waits until it is ready.
func (s *shop) open(id string, args ...string) *process {
	s.t.Helper()

	p := s.start(append([]string{"-instance", id}, args...)...)
	s.event(func(e registry.Event) bool { return e.Instance.ID == id && e.Instance.State == registry.Ready })

	return p
}

func (s *shop) start(args ...string) *process {
	s.t.Helper()

	return s.program("tool", args...)
}

// program starts a process on the shop's server.
func (s *shop) program(name string, args ...string) *process {
	s.t.Helper()

	return start(s.t, nil, []string{"WOODWORK_SERVER=" + s.url}, name, args...)
}

// event returns the next event for which holds does.
func (s *shop) event(holds func(registry.Event) bool) registry.Event {
	s.t.Helper()

	for {
		select {
		case e := <-s.events:
			if holds(e) {
				return e
			}
		case <-s.t.Context().Done():
			s.t.Fatal("no such event")
		}
	}
}

// run runs woodwork and returns its standard output.
func (s *shop) run(args ...string) string {
	s.t.Helper()

	p := s.program("woodwork", args...)
	if code := p.wait(); code != 0 {
		s.t.Fatalf("woodwork %v exited with %d: %s", args, code, p.stderr)
	}

	return p.stdout.String()
}

// fields splits a table into its lines and those into words.
func fields(table string) [][]string {
	var all [][]string
	for line := range strings.Lines(table) {
		all = append(all, strings.Fields(line))
	}

	return all
}

// aligned reports whether the values of a column, from the first line on, begin where its heading does.
func aligned(table, column string, values ...string) bool {
	lines := strings.Split(strings.TrimSuffix(table, "\n"), "\n")
	at := strings.Index(lines[0], column) // the heading is ASCII

	for i, v := range values {
		if line := []rune(lines[i+1]); at < 1 || !strings.HasPrefix(string(line[at:]), v) || line[at-1] != ' ' {
			return false
		}
	}

	return true
}

func TestComponentsFromTheCommandLine(t *testing.T) {
	t.Parallel()

	s := newShop(t)
	quick := []string{"-registry-ttl", "3s", "-registry-heartbeat", "200ms"}
	s.open("zoe", quick...)
	adam := s.open("adam-of-a-long-name", quick...)
	s.program("woodwork-llm", "-instance", "mini")
	s.event(func(e registry.Event) bool { return e.Instance.ID == "mini" && e.Instance.State == registry.Ready })

	for _, operation := range []string{"who", "fail"} { // one of each instance's, or both of one's
		_, err := s.client.Call(t.Context(), "tool", call.Request{Operation: operation})
		if (err != nil) != (operation == "fail") {
			t.Fatal(err)
		}
	}

	var done, failed uint64

	for done < 2 { // until the heartbeats have told
		done, failed = 0, 0

		for line := range strings.Lines(s.run("component", "ls", "--json", "-component", "tool")) {
			var i registry.Instance
			if err := json.Unmarshal([]byte(line), &i); err != nil {
				t.Fatal(err)
			}

			done += i.Lately.Done
			failed += i.Lately.Failed
		}
	}

	if failed != 1 {
		t.Errorf("%d of %d calls failed", failed, done)
	}

	table := s.run("component", "ls")
	for !aligned(table, "WAITING", "0", "0", "0") { // until the instances know
		table = s.run("component", "ls")
	}

	lines := fields(table)

	if len(lines) != 4 || lines[0][0] != "COMPONENT" || lines[1][1] != "mini" || lines[2][1] != "adam-of-a-long-name" ||
		lines[3][1] != "zoe" {
		t.Fatalf("ls prints\n%s", table)
	}

	if !aligned(table, "STATE", "ready", "ready", "ready") || !aligned(table, "LOAD", "0/64", "0/128", "0/128") ||
		!aligned(table, "HEARTBEAT", "<10s", "<3s", "<3s") || !aligned(table, "SUCCESS", "-") {
		t.Errorf("ls prints\n%s", table)
	}

	if got := fields(s.run("component", "ls", "-state", "draining")); len(got) != 1 {
		t.Errorf("ls of the draining: %v", got)
	}

	if got := fields(s.run("component", "ls", "-capability", "naming", "-type", "test", "-state", "ready")); len(got) != 3 {
		t.Errorf("ls of a capability: %v", got)
	}

	info := s.run("component", "info", "adam-of-a-long-name")
	wantText(t, "info of an instance", info, "counting, naming", "1.2.3", "ready", "0/128", "p99", "success",
		"connected since 20", ", never lost\n", fmt.Sprintf("%d on ", adam.cmd.Process.Pid))

	if strings.Contains(info, "zoe") || s.run("component", "info", "tool/zoe") == "" {
		t.Errorf("info of one instance prints\n%s", info)
	}

	wantText(t, "info of a component", s.run("component", "info", "tool"), "adam-of-a-long-name", "\n\ncomponent", "zoe")
}

// TestWhatInstancesReport of how far they are behind, and of the bus.
func TestWhatInstancesReport(t *testing.T) {
	t.Parallel()

	s := newShop(t)

	b, err := natsbus.Open(t.Context(), natsbus.Config{URL: s.url})
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())

	var members sync.WaitGroup

	t.Cleanup(func() {
		cancel()
		members.Wait()

		if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})

	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	backlog := bus.Backlog{Waiting: 12, Oldest: 4217 * time.Millisecond}
	lost := bus.Connection{Up: true, Since: since, Lost: 3, Reason: "read:\x1b[2J reset"}

	for id, report := range map[string]registry.Report{
		"behind": {Backlog: &backlog, Connection: lost}, "calls-only": {Connection: bus.Connection{Up: true, Since: since}}, "old": {},
	} {
		m, err := registry.NewMember(b, registry.MemberConfig{
			Instance: registry.Instance{Component: "tool", ID: id}, Report: func() registry.Report { return report },
		})
		if err != nil {
			t.Fatal(err)
		}

		members.Go(func() {
			if err := m.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		<-m.Joined()
	}

	if table := s.run("component", "ls"); !aligned(table, "WAITING", "12 for 4.22s  ", "-  ", "-  ") {
		t.Errorf("ls prints\n%s", table)
	}

	info := s.run("component", "info", "behind")
	wantText(t, "info of one that is behind", info, "12 for 4.22s\n",
		"connected since 2026-01-02T03:04:05Z, lost 3 times, the last time: read:", " reset\n")

	if strings.Contains(info, "\x1b") {
		t.Errorf("info prints control characters: %q", info)
	}

	if info := s.run("component", "info", "old"); strings.Contains(info, "connected") {
		t.Errorf("info of one that says nothing prints\n%s", info)
	}

	var got registry.Instance
	if err := json.Unmarshal([]byte(s.run("component", "info", "--json", "behind")), &got); err != nil {
		t.Fatal(err)
	}

	if *got.Backlog != backlog || got.Connection != lost {
		t.Errorf("as JSON it is %+v, %+v", *got.Backlog, got.Connection)
	}
}

// TestAKilledInstanceDisappears: nothing announces its end, but its entry expires, and no call waits for it.
func TestAKilledInstanceDisappears(t *testing.T) {
	t.Parallel()

	const ttl, slack = 2 * time.Second, 5 * time.Second

	s := newShop(t)
	victim := s.open("victim", "-registry-ttl", ttl.String())
	s.open("witness", "-registry-ttl", ttl.String())

	killed := time.Now()
	victim.signal(syscall.SIGKILL)
	victim.wait()

	gone := s.event(func(e registry.Event) bool { return e.Kind == registry.Broke && e.Gone })
	took := time.Since(killed)
	t.Logf("an instance of a time to live of %v was gone %v after it was killed", ttl, took.Round(time.Millisecond))

	if gone.Instance.ID != "victim" || took > ttl+slack {
		t.Errorf("after %v %s was gone", took, &gone.Instance)
	}

	r, err := s.client.Registry(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	if left := r.Find(registry.Query{Component: "tool"}); len(left) != 1 || left[0].ID != "witness" {
		t.Errorf("discovery still finds %v", left)
	}

	if table := s.run("component", "ls"); strings.Contains(table, "victim") || !strings.Contains(table, "witness") {
		t.Errorf("ls prints\n%s", table)
	}

	const patience = time.Minute // much longer than a call may take that waits for nobody

	begun := time.Now()

	for range 10 {
		who, err := s.client.Call(t.Context(), "tool", call.Request{Operation: "who", Timeout: patience})
		if err != nil || string(who) == strconv.Itoa(victim.cmd.Process.Pid) {
			t.Errorf("%s answers, %v", who, err)
		}
	}

	if took := time.Since(begun); took > slack {
		t.Errorf("ten calls to the instance that is left took %v", took)
	}
}

// TestACallToAComponentThatDiedDoesNotWait for it to come back.
func TestACallToAComponentThatDiedDoesNotWait(t *testing.T) {
	t.Parallel()

	s := newShop(t)
	victim := s.open("victim", "-registry-ttl", "1s", "-registry-heartbeat", "300ms")
	victim.signal(syscall.SIGKILL)
	victim.wait()
	s.event(func(e registry.Event) bool { return e.Gone })

	begun := time.Now()

	_, err := s.client.Call(t.Context(), "tool", call.Request{Operation: "who", Timeout: time.Minute})
	if !errors.Is(err, call.ErrNoInstance) {
		t.Errorf("the call ends with %v", err)
	}

	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the call took %v", took)
	}
}

// TestTwoProcessesWithOneID: the second one is told who has the id, and the first one works on.
func TestTwoProcessesWithOneID(t *testing.T) {
	t.Parallel()

	s := newShop(t)
	first := s.open("desk", "-registry-heartbeat", "200ms")
	second := s.start("-instance", "desk", "-registry-heartbeat", "200ms")

	if code := second.wait(); code != 1 {
		t.Errorf("the second one exited with %d", code)
	}

	holder := fmt.Sprintf("process %d on ", first.cmd.Process.Pid)
	wantText(t, "the second one", lastLine(second.stderr.String()), "tool/desk", holder, "choose another id")

	if who, err := s.client.Call(t.Context(), "tool", call.Request{Operation: "who"}); err != nil ||
		string(who) != strconv.Itoa(first.cmd.Process.Pid) {
		t.Errorf("afterwards %s answers, %v", who, err)
	}

	if code := first.terminate(); code != 0 {
		t.Errorf("the first one exited with %d", code)
	}
}
