package subjects_test

import (
	"testing"

	"github.com/woodwork-go/woodwork/subjects"
)

// TestAllocations counts memory blocks. Subjects are built for each stream and parsed for each frame that arrives.
//
//nolint:paralleltest // testing.AllocsPerRun counts what all goroutines allocate
func TestAllocations(t *testing.T) {
	ns := namespace(t, "shop", 4)
	var sink string
	var sub subjects.Subject
	for name, tc := range map[string]struct {
		want float64
		call func()
	}{
		"Log":               {1, func() { sink, _ = ns.Log("alice", "t1") }},
		"Inbox":             {1, func() { sink, _ = ns.Inbox("llm", "alice") }},
		"Control":           {1, func() { sink, _ = ns.Control("alice") }},
		"Parse":             {0, func() { sub, _ = subjects.Parse("ww.shop.log.0.alice.t1") }},
		"Encode a plain id": {0, func() { sink = subjects.Encode("alice") }},
		"Encode":            {1, func() { sink = subjects.Encode("alice@example.com") }},
		"Derive":            {2, func() { sink = subjects.Derive("t1", "llm", "output") }},
	} {
		if got := testing.AllocsPerRun(100, tc.call); got > tc.want {
			t.Errorf("%s allocates %v times, want %v", name, got, tc.want)
		}
	}
	_, _ = sink, sub
}

func BenchmarkLog(b *testing.B) {
	ns := namespace(b, "shop", 4)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = ns.Log("0192f0c1-7b3e-7c4d-9a5b-3f0e5b1f2a77", "d--llm-b6521c92c7d54034be1e8f5424ff905d87c1ef95")
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, _ = subjects.Parse("ww.shop.log.0.0192f0c1-7b3e-7c4d-9a5b-3f0e5b1f2a77.d--llm-b6521c92c7d54034be1e8f5424ff905d87c1ef95")
	}
}

func BenchmarkDerive(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_ = subjects.Derive("0192f0c1-7b3e-7c4d-9a5b-3f0e5b1f2a77", "llm", "output")
	}
}
