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
	faults := plan.New(plan.Config{Seed: 1, Length: length, Gap: mean})
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
		if (f.Kind == plan.Delay) != (f.By > 0) || (f.Kind == plan.Cut) != (f.For == 0) {
			t.Errorf("fault %+v", f)
		}
	}
	if want := 25; len(names) != want {
		t.Errorf("%d sorts of faults, want %d: %v", len(names), want, names)
	}
}
