// Package row holds the measurements: each row runs Woodwork beside the bare broker and its peers, in interleaved rounds
// so that drift of the machine hits all alike, and says where Woodwork stands.
//
// File map: row.go what a row is; broker.go the servers; hop.go, throughput.go, sessions.go, growth.go, catchup.go,
// turns.go, firsttoken.go, telemetry.go the rows.
package row

import (
	"context"

	"github.com/woodwork-go/woodwork/bench/report"
)

// Scale says how much is measured.
type Scale struct {
	// Quick is for a run of few minutes.
	Quick bool
}

// pick returns the quick or the full amount.
func (s Scale) pick(quick, full int) int {
	if s.Quick {
		return quick
	}

	return full
}

// Row is one measurement.
type Row struct {
	// Name is for the -run flag.
	Name string
	// What says what is measured, for people.
	What string
	// Run measures.
	Run func(ctx context.Context, e *Env, out *report.Report) error
}

// All returns the rows in the order of the table.
func All() []Row {
	return []Row{
		{"hop", "one hop of one stream, one chunk at a time", hop},
		{"hop-r3", "the same on three nodes", hopReplicated},
		{"hop-redis", "the same on Redis", hopRedis},
		{"throughput", "chunks per second on one stream", throughput},
		{"sizes", "the same over the size of the chunks", sizes},
		{"sessions", "1,000 sessions × 50 chunks/s through two hops", sessions},
		{"growth", "5,000 chunks/s in all among 1 to 100,000 open sessions", growth},
		{"catchup", "100 frames in a log of 1 M entries", catchUp},
		{"turns", "an acknowledged post of a turn", turns},
		{"first-token", "the first token through three services", firstToken},
		{"telemetry", "the cost of a chunk with traces exported", tracing},
	}
}
