package monitor

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestQuantilesAreExactToAnEighth, whatever the durations are.
func TestQuantilesAreExactToAnEighth(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		durations := rapid.SliceOfN(rapid.Int64Range(0, int64(1000*time.Hour)), 1, 200).Draw(t, "durations")
		q := rapid.Float64Range(0.01, 1).Draw(t, "q")

		var h histogram
		for _, d := range durations {
			h.add(time.Duration(d))
		}

		slices.Sort(durations)

		n := 0
		for float64(n+1) < q*float64(len(durations)) {
			n++
		}

		exact := time.Duration(durations[n])
		if got := h.quantile(q); got < exact || got > exact+exact/8+time.Microsecond {
			t.Fatalf("quantile %v is %v, want %v", q, got, exact)
		}
	})
}

func TestAHistogramHoldsEveryDuration(t *testing.T) {
	t.Parallel()

	var h histogram

	h.add(-time.Second)
	h.add(1<<63 - 1)

	if h.quantile(0.5) >= time.Microsecond || h.quantile(1) < 1<<62 {
		t.Errorf("quantiles %v and %v", h.quantile(0.5), h.quantile(1))
	}
}

func TestAReportForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := New(Config{Window: time.Minute})
		m.Observe(8*time.Microsecond, false)
		m.Observe(time.Second, true)

		got := m.Report()
		if got.Done != 2 || got.Failed != 1 || got.P50 > 10*time.Microsecond || got.P99.Round(time.Second) != time.Second {
			t.Errorf("report: %+v", got)
		}

		<-time.After(time.Minute)
		m.Observe(time.Second, false)

		if got := m.Report(); got.Done != 3 {
			t.Errorf("in the second window: %+v", got)
		}

		<-time.After(2 * time.Minute)

		if diff := cmp.Diff(Report{}, m.Report()); diff != "" {
			t.Errorf("much later: %s", diff)
		}
	})
}

// TestSickness: exactly when fewer than the share of the latest work succeeded, and from then on.
func TestSickness(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{
			MinSuccess: float64(rapid.IntRange(0, 10).Draw(t, "tenths")) / 10, Work: rapid.IntRange(1, 20).Draw(t, "work"),
		}
		m, want := New(cfg), false
		work := rapid.SliceOfN(rapid.Bool(), 0, 60).Draw(t, "failures")

		for i, failed := range work {
			m.Observe(time.Second, failed)

			if i+1 >= cfg.Work {
				bad := 0
				for _, f := range work[i+1-cfg.Work : i+1] {
					if f {
						bad++
					}
				}

				want = want || 1-float64(bad)/float64(cfg.Work) < cfg.MinSuccess
			}

			if got := m.Problem() != ""; got != want {
				t.Fatalf("after %v: sick %v, want %v", work[:i+1], got, want)
			}
		}

		select {
		case <-m.Sick():
			if !want {
				t.Fatal("told to be sick")
			}
		default:
			if want {
				t.Fatal("not told to be sick")
			}
		}
	})
}
