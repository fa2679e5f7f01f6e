// Package report keeps what was measured, and prints it as a table, as JSON and as plots.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// Better says which way a figure should go.
type Better string

// The directions.
const (
	Lower  Better = "lower"
	Higher Better = "higher"
)

// Target is a figure that is to be reached.
type Target struct {
	Name string `json:"name"`
	// Value that was measured, in Unit; nil when its row did not run.
	Value  *float64 `json:"value"`
	Unit   string   `json:"unit"`
	Target float64  `json:"target"`
	Better Better   `json:"better"`
}

// Met reports whether the figure is where it should be.
func (t Target) Met() bool {
	if t.Value == nil {
		return false
	}

	if t.Better == Higher {
		return *t.Value >= t.Target
	}

	return *t.Value <= t.Target
}

// Line is one system in one row.
type Line struct {
	Row    string `json:"row"`
	System string `json:"system"`
	// Figures by name, such as "p50 µs".
	Figures []Figure `json:"figures"`
}

// Figure is one number with its name and unit.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

// Report is one run.
type Report struct {
	Machine string    `json:"machine"`
	Started time.Time `json:"started"`
	Lines   []Line    `json:"lines"`
	Targets []Target  `json:"targets"`
	Plots   []Plot    `json:"plots"`
}

// New returns a report in which no target has been measured.
func New(machine string, started time.Time) *Report {
	return &Report{Machine: machine, Started: started, Targets: targets()}
}

// targets lists every figure that is to be reached.
func targets() []Target {
	ratio := func(name string, most float64) Target {
		return Target{Name: name, Unit: "ratio", Target: most, Better: Lower}
	}
	least := func(name string, least float64) Target {
		return Target{Name: name, Unit: "ratio", Target: least, Better: Higher}
	}

	return []Target{
		ratio("hop_latency_p50_vs_raw", 1.3),
		ratio("hop_latency_p99_vs_raw", 1.5),
		ratio("hop_latency_p50_vs_watermill_jetstream", 0.4),
		least("stream_throughput_vs_raw_async", 5),
		least("stream_throughput_vs_watermill_jetstream", 100),
		ratio("sessions_1000_p99_vs_raw", 1.5),
		{Name: "sessions_1000_p99_ms", Unit: "ms", Target: 50, Better: Lower},
		ratio("growth_cpu_per_chunk_1k_to_100k", 1.5),
		ratio("growth_p99_1k_to_100k", 3),
		{Name: "bytes_per_open_session", Unit: "B", Target: 8192, Better: Lower},
		{Name: "catchup_100_frames_ms_in_1M", Unit: "ms", Target: 5, Better: Lower},
		ratio("turn_post_p50_vs_raw_publish", 6),
		{Name: "first_token_overhead_vs_direct", Unit: "ms", Target: 1.5, Better: Lower},
		ratio("redis_hop_latency_p50_vs_raw", 1.3),
		ratio("redis_hop_latency_p50_vs_watermill", 0.8),
		ratio("telemetry_on_vs_off", 1.1),
		ratio("r3_hop_latency_p50_vs_raw", 1.3),
	}
}

// Set gives a target its value. A name that is not in the list is a mistake of the program.
func (r *Report) Set(name string, value float64) {
	i := slices.IndexFunc(r.Targets, func(t Target) bool { return t.Name == name })
	if i < 0 {
		panic("report: no target " + name)
	}

	r.Targets[i].Value = &value
}

// Add adds a line.
func (r *Report) Add(row, system string, figures ...Figure) {
	r.Lines = append(r.Lines, Line{row, system, figures})
}

// JSON writes the whole report.
func (r *Report) JSON(w io.Writer) error { return encode(w, r) }

// TargetsJSON writes the targets alone, as an array.
func (r *Report) TargetsJSON(w io.Writer) error { return encode(w, r.Targets) }

func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")

	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write results: %w", err)
	}

	return nil
}

// Table prints the lines, then the targets.
func (r *Report) Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) //nolint:mnd // two spaces between columns
	row := ""

	for _, l := range r.Lines {
		if l.Row != row {
			row = l.Row
			fmt.Fprintf(t, "\n%s\n", row)
		}

		fmt.Fprintf(t, "  %s", l.System)

		for _, f := range l.Figures {
			fmt.Fprintf(t, "\t%s %s", f.Name, number(f.Value))
		}

		fmt.Fprintln(t)
	}

	fmt.Fprint(t, "\ntarget\tvalue\tshould be\t\n")

	for _, target := range r.Targets {
		if target.Value == nil {
			continue
		}

		fmt.Fprintf(t, "%s\t%s %s\t%s %s\t%s\n", target.Name, number(*target.Value), target.Unit,
			sign(target.Better), number(target.Target), verdict(target))
	}

	if err := t.Flush(); err != nil {
		return fmt.Errorf("print table: %w", err)
	}

	return nil
}

func sign(b Better) string {
	if b == Higher {
		return "≥"
	}

	return "≤"
}

func verdict(t Target) string {
	if t.Met() {
		return "met"
	}

	return "missed"
}

// number prints three significant digits without an exponent.
func number(v float64) string {
	switch {
	case v >= 100, v == 0:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.3g", v)
	}
}
