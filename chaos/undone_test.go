package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/chaos/load"
	"github.com/woodwork-go/woodwork/chaos/plan"
	"github.com/woodwork-go/woodwork/chaos/system"
	"github.com/woodwork-go/woodwork/internal/redisproc"
)

// struck is a run in which the server was paused for 3 s and killed a second after that, and another process, too.
func struck(fsync redisproc.Fsync) (r *runner, killed time.Time) {
	killed = time.Unix(1000, 0)
	fault := func(kind plan.Kind, target plan.Target, from time.Time, d time.Duration) system.Injected {
		return system.Injected{Fault: plan.Fault{Kind: kind, Target: target}, From: from, To: from.Add(d)}
	}

	return &runner{options: &options{redis: fsync}, faults: []system.Injected{
		fault(plan.Kill, plan.LLM, killed.Add(-time.Minute), time.Second),
		fault(plan.Pause, plan.Server, killed.Add(-time.Minute), 3*time.Second),
		fault(plan.Pause, plan.Server, killed.Add(-4*time.Second), 3*time.Second),
		fault(plan.Kill, plan.Server, killed, time.Second),
	}}, killed
}

func TestWhatAKillMayUndo(t *testing.T) {
	t.Parallel()
	r, killed := struck(redisproc.EverySecond)
	want := []check.Window{{From: killed.Add(-held - 3*time.Second), To: killed.Add(time.Second)}}
	if diff := cmp.Diff(want, r.windows()); diff != "" {
		t.Errorf("windows (-want +got):\n%s", diff)
	}
	for _, fsync := range []redisproc.Fsync{redisproc.Always, redisproc.NoLog} {
		if r, _ := struck(fsync); r.windows() != nil {
			t.Errorf("%q allows %v", fsync, r.windows())
		}
	}
}

func TestALossIsCountedWhereItMayBeOnly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fsync    redisproc.Fsync
		before   time.Duration
		failures int
	}{
		"right before the kill":             {redisproc.EverySecond, time.Second, 0},
		"long before":                       {redisproc.EverySecond, time.Minute, 1},
		"right before it, with each synced": {redisproc.Always, time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, killed := struck(c.fsync)
			told := killed.Add(-c.before)
			s := &check.Session{ID: "s", Turns: []check.Turn{{ID: "t", Acked: true, Asked: told, Told: told}}}
			kept, undone := r.excuse([]load.Failure{{Session: s, Violations: []check.Violation{
				{Kind: check.Lost, Session: "s", Turn: "t"}, {Kind: check.Stuck, Session: "s", Turn: "t"},
			}}})
			if len(kept) != c.failures || len(undone.missing.byTurn) != 1-c.failures ||
				undone.missing.byKind[string(check.Lost)] != 1-c.failures {
				t.Errorf("%d failures, undone: %v", len(kept), &undone.missing)
			}
		})
	}
}
