package plan_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/chaos/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestASeedIsAPlan(t *testing.T) {
	t.Parallel()
	cfg := plan.Config{Seed: 7, Length: time.Minute, Gap: time.Second}
	if diff := cmp.Diff(plan.New(cfg), plan.New(cfg)); diff != "" {
		t.Errorf("the same seed gives another plan:\n%s", diff)
	}
	other := cfg
	other.Seed++
	if cmp.Equal(plan.New(cfg), plan.New(other)) {
		t.Error("another seed gives the same plan")
	}
}

func TestALongPlanHoldsEveryFaultInOrder(t *testing.T) {
	t.Parallel()
	const length, mean = 15 * time.Minute, 800 * time.Millisecond
	faults := plan.New(plan.Config{Seed: 1, Length: length, Gap: mean, Letters: true})
	if len(faults) < 1000 {
		t.Errorf("%d faults, want at least 1000", len(faults))
	}
	names := map[string]int{}
	for i, f := range faults {
		names[f.Name()]++
		if f.At > length || i > 0 && f.At <= faults[i-1].At {
			t.Errorf("fault %d is at %v", i, f.At)
		}
		if lease := 1500 * time.Millisecond; f.Kind == plan.Pause && f.For <= lease {
			t.Errorf("a pause of %v gives nobody time to take over", f.For)
		}
		if (f.Kind == plan.Delay || f.Kind == plan.Step) != (f.By != 0) || (f.Kind == plan.Cut || f.Kind == plan.Wipe) != (f.For == 0) {
			t.Errorf("fault %+v", f)
		}
		if allowed := 300 * time.Second; f.Kind == plan.Step && f.By.Abs() <= allowed {
			t.Errorf("a clock that is wrong by %v is allowed for", f.By)
		}
	}
	if want := 36; len(names) != want {
		t.Errorf("%d sorts of faults, want %d: %v", len(names), want, names)
	}
}

// rare are the faults that a run has now and then.
func rare(letters bool) []string {
	names := []string{"wipe logs", "suspend server", "suspend all all", "clock step llm", "suspend llm"}
	if letters {
		names = append(names, "wipe turns")
	}

	return names
}

// TestAShortRunHasEachRareFault early enough to see what comes of it.
func TestAShortRunHasEachRareFault(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		for _, letters := range []bool{true, false} {
			cfg := plan.Config{Seed: seed, Length: 20 * time.Second, Gap: 400 * time.Millisecond, Letters: letters}
			first := map[string]time.Duration{}
			for _, f := range plan.New(cfg) {
				if _, there := first[f.Name()]; !there {
					first[f.Name()] = f.At
				}
			}
			for _, name := range rare(letters) {
				if at, there := first[name]; !there || at > cfg.Length*9/10 {
					t.Errorf("seed %d: %s at %v, %v", seed, name, at, there)
				}
			}
			if _, there := first["wipe turns"]; there != letters {
				t.Errorf("seed %d: turns are wiped: %v", seed, there)
			}
		}
	}
}

func TestAVeryShortRunHasNoRareFault(t *testing.T) {
	t.Parallel()
	for _, f := range plan.New(plan.Config{Seed: 1, Length: 3 * time.Second, Gap: 50 * time.Millisecond, Letters: true}) {
		if f.Kind == plan.Wipe || f.Kind == plan.SuspendAll {
			t.Errorf("%s at %v", f.Name(), f.At)
		}
	}
}
