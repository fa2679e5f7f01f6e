package resume_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/chaos/resume"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// at returns a time so many milliseconds after the beginning.
func at(ms int) time.Time { return time.UnixMilli(int64(ms)) }

func needs(component string) []string { return []string{component, "server"} }

func TestOnlyTurnsOfTheKilledWorkerGiveSamples(t *testing.T) {
	t.Parallel()
	r := resume.New()
	for _, stream := range []string{"killed", "elsewhere", "ended", "again"} {
		r.Chunk(at(0), "llm", stream, 1)
	}
	r.Chunk(at(0), "relay", "other", 1)
	r.Kill("llm", at(1000))
	r.Fault("llm", at(1000), at(1100))
	r.Chunk(at(1001), "llm", "killed", 1) // was on its way
	r.Chunk(at(1400), "llm", "elsewhere", 1)
	r.End("ended")
	r.Chunk(at(2500), "llm", "killed", 2)
	r.Chunk(at(2500), "llm", "elsewhere", 2) // for another reason
	r.Chunk(at(2600), "llm", "killed", 2)
	r.Chunk(at(2600), "relay", "other", 2)
	r.Fault("server", at(4000), at(4100))
	r.Chunk(at(5000), "llm", "again", 2)
	all, undisturbed := r.Times(needs)
	if diff := cmp.Diff([]time.Duration{1500 * time.Millisecond, 4 * time.Second}, all); diff != "" {
		t.Errorf("all samples (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]time.Duration{1500 * time.Millisecond}, undisturbed); diff != "" {
		t.Errorf("undisturbed samples (-want +got):\n%s", diff)
	}
}

func TestSlowest(t *testing.T) {
	t.Parallel()
	r := resume.New()
	for i, stream := range []string{"a", "b", "c"} {
		r.Chunk(at(0), "llm", stream, 1)
		r.Kill("llm", at(10+i))
		r.Chunk(at(100*(i+2)), "llm", stream, 2)
	}
	want := []resume.Slow{{"llm", "c", at(12), at(400)}, {"llm", "b", at(11), at(300)}}
	if diff := cmp.Diff(want, r.Slowest(2)); diff != "" {
		t.Errorf("slowest (-want +got):\n%s", diff)
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	var times []time.Duration
	if got := resume.Percentile(times, 0.5); got != 0 {
		t.Errorf("p50 of nothing is %v", got)
	}
	for i := range 100 {
		times = append(times, time.Duration(i))
	}
	for p, want := range map[float64]time.Duration{0: 0, 0.5: 50, 0.99: 99, 1: 99} {
		if got := resume.Percentile(times, p); got != want {
			t.Errorf("p%v is %d, want %d", p, got, want)
		}
	}
}
