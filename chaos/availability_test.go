package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/chaos/hook"
	"github.com/woodwork-go/woodwork/chaos/provider"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

func TestTurnsSucceedWhileAProviderIsDown(t *testing.T) {
	t.Parallel()
	o := &options{
		seed: 1, duration: 5 * time.Second, pace: 5 * time.Millisecond, quiet: 20 * time.Second, rate: 10, sessions: 6,
		turns: 4, llms: 2, relays: 1,
	}
	var out strings.Builder
	a := newOutage(newRunner(o, t.TempDir(), bin, &out), 2*time.Second)
	a.least = 1
	if err := a.run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if _, failed := a.primary.Counts(); a.turns.by[primary] == 0 || a.turns.by[fallback] == 0 || failed == 0 || len(a.faults) == 0 {
		t.Errorf("not both answered, or nothing failed:\n%s", &out)
	}
	if !strings.Contains(out.String(), "availability                 100.000 %") {
		t.Errorf("the report does not tell the figure:\n%s", &out)
	}
}

// shownTurn is a session of one turn whose user sees the chunks.
func shownTurn(state bus.State, took time.Duration, chunks ...string) *check.Session {
	posted := time.Now()
	info := stream.Info{Root: "t"}
	event := func(e stream.Event) check.Event {
		return check.Event{SessionEvent: stream.SessionEvent{Info: info, Event: e}, At: posted.Add(took)}
	}
	var events []check.Event
	for _, c := range chunks {
		events = append(events, event(stream.Event{Kind: stream.KindChunk, Chunk: stream.Chunk{Data: []byte(c)}}))
	}
	if state != bus.Active {
		events = append(events, event(stream.Event{Kind: stream.KindEnd, End: stream.End{State: state}}))
	}

	return &check.Session{
		Turns: []check.Turn{{
			ID: "t", Posted: posted,
			Answers: map[string]check.Answer{"relay": {Chunks: said(primary), Or: [][]string{said(fallback)}}},
		}},
		Readers: []check.Reader{{Name: screenOf, Events: events}},
	}
}

// said is what a provider's answer is to the user.
func said(name string) []string { return hook.Relayed(provider.Answer(name, "why?"), hook.None) }

func TestWhatCountsAsSuccess(t *testing.T) {
	t.Parallel()
	mixed := slices.Concat(said(primary)[:3], said(fallback)[3:])
	for name, c := range map[string]struct {
		session *check.Session
		success bool
	}{
		"the first one's":  {shownTurn(bus.Completed, time.Second, said(primary)...), true},
		"the other one's":  {shownTurn(bus.Completed, time.Second, said(fallback)...), true},
		"a mix":            {shownTurn(bus.Completed, time.Second, mixed...), false},
		"not whole":        {shownTurn(bus.Completed, time.Second, said(primary)[:5]...), false},
		"failed":           {shownTurn(bus.Failed, time.Second, said(primary)...), false},
		"late":             {shownTurn(bus.Completed, patience+time.Second, said(primary)...), false},
		"without an end":   {shownTurn(bus.Active, time.Second, said(primary)...), false},
		"nothing was seen": {shownTurn(bus.Active, time.Second), false},
	} {
		n := newTally()
		n.add(c.session)
		if n.turns != 1 || n.succeeded == 1 != c.success {
			t.Errorf("%s: %d of %d succeeded (%v)", name, n.succeeded, n.turns, n.why)
		}
	}
}

func TestTooFewTurnsOrSuccessesEndTheRunWithAnError(t *testing.T) {
	t.Parallel()
	n := newTally()
	n.turns, n.succeeded = 1000, 998
	a := &outage{turns: n, least: 1001}
	if err := a.verdict(nil); !errors.Is(err, errFewTurns) || !errors.Is(err, errUnavailable) {
		t.Errorf("verdict %v", err)
	}
	n.turns, n.succeeded = 1001, 1000
	if err := a.verdict(nil); err != nil {
		t.Errorf("verdict %v on enough", err)
	}
	n.misled = 1
	if err := a.verdict(nil); !errors.Is(err, errViolated) {
		t.Errorf("verdict %v on a wrong name", err)
	}
}

func TestAnInstanceIsKilledEachGap(t *testing.T) {
	t.Parallel()
	if n := len(kills(1, 5*time.Minute, 10*time.Second)); n != 30 {
		t.Errorf("%d kills in 5 minutes, want 30", n)
	}
}

func TestTheMostFrequentReasonsAreTold(t *testing.T) {
	t.Parallel()
	n := newTally()
	for i := range 20 {
		n.why[strings.Repeat("x", i+1)] = i
	}
	if worst := n.worst(); len(worst) != 8 || n.why[worst[0]] != 19 || n.why[worst[7]] != 12 {
		t.Errorf("told %q", worst)
	}
}
