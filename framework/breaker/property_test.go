package breaker_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/framework/breaker"
)

// model is what a breaker should do, said the long way.
type model struct {
	cfg               breaker.Config
	state             breaker.State
	opened            time.Time
	failed, succeeded int
	probes            int
	epoch             int
}

func (m *model) enter(s breaker.State) {
	m.state, m.failed, m.succeeded, m.probes = s, 0, 0, 0
	m.epoch++

	if s == breaker.Open {
		m.opened = time.Now()
	}
}

func (m *model) admits() bool {
	if m.state == breaker.Open && time.Since(m.opened) >= m.cfg.Recovery {
		m.enter(breaker.HalfOpen)
	}

	switch m.state {
	case breaker.Open:
		return false
	case breaker.HalfOpen:
		m.probes++

		return m.probes <= m.cfg.Probes
	default:
		return true
	}
}

func (m *model) refused() {
	if m.state == breaker.HalfOpen {
		m.probes--
	}
}

func (m *model) settle(epoch int, o breaker.Outcome) {
	if epoch != m.epoch {
		return
	}

	m.probes--

	switch {
	case o == breaker.Ignored:
	case o == breaker.Success:
		m.failed = 0
		m.succeeded++

		if m.state == breaker.HalfOpen && m.succeeded >= m.cfg.Successes {
			m.enter(breaker.Closed)
		}
	case m.state == breaker.HalfOpen:
		m.enter(breaker.Open)
	default:
		m.failed++

		if m.failed >= m.cfg.Failures {
			m.enter(breaker.Open)
		}
	}
}

// call is one under way.
type call struct {
	permit *breaker.Permit
	epoch  int
}

// step is one thing that happens: a call begins, or one ends, or time passes.
type step struct {
	kind, which int
	outcome     breaker.Outcome
	wait        time.Duration
}

func drawStep(t *rapid.T) step {
	return step{
		kind: rapid.IntRange(0, 2).Draw(t, "kind"), which: rapid.IntRange(0, 9).Draw(t, "which"),
		outcome: rapid.SampledFrom([]breaker.Outcome{
			breaker.Failure, breaker.Failure, breaker.Success, breaker.Ignored,
		}).Draw(t, "outcome"),
		wait: time.Duration(rapid.IntRange(1, 12).Draw(t, "seconds")) * time.Second,
	}
}

// TestABreakerDoesWhatItsModelDoes with calls that overlap, end in any order, and any time between them.
func TestABreakerDoesWhatItsModelDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		cfg := breaker.Config{
			Failures: rapid.IntRange(1, 6).Draw(rt, "failures"), Successes: rapid.IntRange(1, 4).Draw(rt, "successes"),
			Probes: rapid.IntRange(1, 3).Draw(rt, "probes"), Recovery: 10 * time.Second,
		}
		steps := rapid.SliceOfN(rapid.Custom(drawStep), 1, 120).Draw(rt, "steps")
		wrong := ""

		synctest.Test(t, func(*testing.T) { wrong = compare(cfg, steps) })

		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// compare takes the steps with a breaker and with its model, and says where they differ.
func compare(cfg breaker.Config, steps []step) string {
	b, m := breaker.New("tool", cfg), &model{cfg: cfg, state: breaker.Closed}

	var calls []call

	for i, s := range steps {
		switch {
		case s.kind == 0:
			p, err := b.Allow()
			if want := m.admits(); want != (err == nil) {
				return fmt.Sprintf("step %d: admitted with %v, want %v", i, err, want)
			}

			if err != nil {
				m.refused()
			} else {
				calls = append(calls, call{p, m.epoch})
			}
		case s.kind == 1 && len(calls) > 0:
			n := s.which % len(calls)
			calls[n].permit.Done(s.outcome)
			m.settle(calls[n].epoch, s.outcome)

			calls = slices.Delete(calls, n, n+1)
		case s.kind == 2:
			<-time.After(s.wait)
		}

		if got := b.Status(); got.State != m.state {
			return fmt.Sprintf("step %d: %+v, want %s", i, got, m.state)
		}
	}

	return ""
}
