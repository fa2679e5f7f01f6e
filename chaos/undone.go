package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/chaos/load"
	"github.com/woodwork-go/woodwork/chaos/plan"
	"github.com/woodwork-go/woodwork/internal/redisproc"
)

// held is for how long Redis with appendfsync everysec answers before it writes, while the disk is being synced: less
// than two seconds by its clock, which it reads ten times a second, and what it takes until it has written.
const held = 2*time.Second + 500*time.Millisecond

// undone is what kills of the server undid and was allowed to.
type undone struct {
	windows        []check.Window
	missing, after toll
}

// toll is violations by kind, and by the turns that they are of.
type toll struct{ byKind, byTurn map[string]int }

func (t *toll) add(found []check.Violation) {
	if t.byKind == nil {
		t.byKind, t.byTurn = map[string]int{}, map[string]int{}
	}
	for _, v := range found {
		t.byKind[string(v.Kind)]++
		t.byTurn[v.Session+" "+v.Turn]++
	}
}

// String counts the turns, and lists what their violations are.
func (t *toll) String() string { return fmt.Sprintf("%d turns (%s)", len(t.byTurn), counts(t.byKind)) }

// excuse takes out of failures what the server's durability class explains, and returns the rest.
func (r *runner) excuse(failures []load.Failure) ([]load.Failure, undone) {
	u := undone{windows: r.windows()}
	var kept []load.Failure
	for _, f := range failures {
		parts := f.Session.Excuse(f.Violations, u.windows)
		u.missing.add(parts.Missing)
		u.after.add(parts.After)
		if len(parts.Broken) > 0 {
			kept = append(kept, load.Failure{Session: f.Session, Violations: parts.Broken})
		}
	}

	return kept, u
}

// windows returns the times whose acknowledgements kills of the server may have undone: those before each kill in which
// it may not have written yet. While it is paused it neither answers nor writes.
func (r *runner) windows() []check.Window {
	if r.redis != redisproc.EverySecond {
		return nil
	}
	var windows []check.Window
	for i := range r.faults {
		if f := &r.faults[i]; f.Kind == plan.Kill && f.Target == plan.Server {
			windows = append(windows, check.Window{From: r.running(f.From, held), To: f.To})
		}
	}

	return windows
}

// running returns when the server had run for d, pauses left out, until a time.
func (r *runner) running(until time.Time, d time.Duration) time.Time {
	from := until.Add(-d)
	for i := range r.faults {
		f := &r.faults[i]
		if f.Kind == plan.Pause && f.Target == plan.Server && f.To.After(from) && f.From.Before(until) {
			from = from.Add(-f.To.Sub(f.From))
		}
	}

	return from
}

// writeUndone prints what kills of a server undid that doesn't write before it answers.
func (r *runner) writeUndone(u *undone) error {
	if r.redis != redisproc.EverySecond {
		return nil
	}
	slow, err := r.slowSyncs()
	r.linef("kills of the server", "%d; what it acknowledged up to %v before may be undone", len(u.windows), held)
	r.linef("  undone", "%v", &u.missing)
	r.linef("  passed over after that", "%v", &u.after)
	r.linef("  syncs that took 2s", "%d", slow)

	return err
}

// slowSyncs returns how often the server gave up waiting for the disk and wrote.
func (r *runner) slowSyncs() (int, error) {
	text, err := os.ReadFile(r.system.ServerLog())
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}

	return bytes.Count(text, []byte("Asynchronous AOF fsync is taking too long")), err
}
