package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/chaos/load"
	"github.com/woodwork-go/woodwork/chaos/plan"
	"github.com/woodwork-go/woodwork/chaos/resume"
	"github.com/woodwork-go/woodwork/framework/bus"
)

// report prints the figures and keeps the histories of sessions that broke a promise.
func (r *runner) report(info bus.Info, users *load.Runner) error {
	stats, found := users.Result()
	failures, undone := r.excuse(found)
	byKind := map[check.Kind]int{}
	for _, f := range failures {
		for _, v := range f.Violations {
			byKind[v.Kind]++
		}
	}
	r.figures(info, &stats, byKind)
	if err := r.writeUndone(&undone); err != nil {
		return err
	}
	if len(failures) == 0 {
		return nil
	}

	return r.keepAll(failures)
}

// keepAll shows what broke a promise, writes all that explains it to the run's folder, and returns the error that says so.
func (r *runner) keepAll(failures []load.Failure) error {
	const shown = 10
	for i, f := range failures[:min(len(failures), shown)] {
		fmt.Fprintf(r.out, "  %v\n", f.Violations[0])
		if err := r.keepHistory(i, &f); err != nil {
			return err
		}
	}
	log, err := os.Create(filepath.Join(r.dir, "processes.txt"))
	if err != nil {
		return err
	}
	violated := fmt.Errorf("%w in %d sessions; repeat with -seed %d", errViolated, len(failures), r.seed)

	return errors.Join(violated, r.system.CopyLogs(log), log.Close())
}

func (r *runner) figures(info bus.Info, stats *load.Stats, byKind map[check.Kind]int) {
	line := r.linef
	fmt.Fprintf(r.out, "\nchaos: seed %d, %s (%s), %v of faults, %v in all; %d llm, %d relay, %d input, %d output\n", r.seed,
		info.Kind, info.Durability, r.duration, time.Since(r.begun).Round(time.Second), r.llms, r.relays, edges, edges)
	faults := map[string]int{}
	for i := range r.faults {
		if r.faults[i].Err != nil {
			line("not injected", "%s", describe(&r.faults[i]))

			continue
		}
		faults[r.faults[i].Name()]++
	}
	hooks := map[string]int{}
	total := 0
	for h, n := range stats.Hooks {
		hooks[string(h)] = n
		total += n
	}
	line("faults injected", "%d (%s; %d skipped)", len(r.faults), counts(faults), r.skipped)
	line("handler faults", "%d (%s)", total, counts(hooks))
	line("exits nobody asked for", "%s", counts(r.system.Exits()))
	line("sessions", "%d", stats.Sessions)
	line("turns acknowledged", "%d (%d completed, %d failed as told, %d cancelled, %d failed)", stats.Turns, stats.Completed,
		stats.Refused, stats.Cancelled, stats.Failed)
	line("not acknowledged", "%d", stats.Unacked)
	line("chunks delivered", "%d to 4 readers of each session", stats.Chunks)
	line("restarts that readers saw", "%d", stats.Superseded)
	line("connections that broke", "%d", stats.Breaks)
	line("cancels of a running turn", "%d", stats.Cancels)
	line("taken by the operator", "%d turns (%d times something of them was missing)", stats.Taken, stats.Excused)
	line("told that a place is gone", "%d times, of readers that stayed", stats.Gone)
	for _, age := range load.Ages() {
		if v := stats.Visits[age]; v != (load.Visits{}) {
			line("cursors "+string(age), "%d went on, %d told that it is gone, %d wrong", v.WentOn, v.Told, v.Wrong)
		}
	}
	if stats.Unread > 0 {
		line("logs that can't be read", "%d: what follows is not to be trusted", stats.Unread)
	}
	for _, kind := range check.Kinds() {
		line(string(kind), "%d", byKind[kind])
	}
	all, undisturbed := r.recorder.Times(needs)
	line("resume after kill -9", "%s", percentiles(undisturbed))
	line("  hit again meanwhile or not", "%s", percentiles(all))
	for _, slow := range r.recorder.Slowest(slowest) {
		r.tell(fmt.Sprintf("slow: %s stream %s stood still from %.2fs to %.2fs", slow.Component, slow.Stream,
			slow.From.Sub(r.begun).Seconds(), slow.To.Sub(r.begun).Seconds()))
	}
	line("availability", "%.3f %%", 100*stats.Available())
	for reason, n := range stats.Reasons {
		line("failed", "%d: %.200s", n, reason)
	}
}

// linef prints one of the figures.
func (r *runner) linef(name, format string, args ...any) {
	fmt.Fprintf(r.out, "  %-28s "+format+"\n", append([]any{name}, args...)...)
}

// slowest is how many of the turns that stood still for longest are told of.
const slowest = 10

// needs says whose faults disturb a component: its own, those of the server, and of who feeds it.
func needs(component string) []string {
	needs := []string{component, string(plan.Server)}
	if component == string(plan.Relay) {
		needs = append(needs, string(plan.LLM))
	}

	return needs
}

func percentiles(times []time.Duration) string {
	const median, tail = 0.5, 0.99
	us := func(p float64) time.Duration { return resume.Percentile(times, p).Round(10 * time.Microsecond) }

	return fmt.Sprintf("p50 %v, p99 %v, max %v (%d samples)", us(median), us(tail), us(1), len(times))
}

// counts lists how often what happened.
func counts(of map[string]int) string {
	if len(of) == 0 {
		return "none"
	}
	parts := make([]string, 0, len(of))
	for _, name := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, of[name]))
	}

	return strings.Join(parts, ", ")
}

// keepHistory writes what is known of a session to a file.
func (r *runner) keepHistory(i int, f *load.Failure) error {
	file, err := os.Create(filepath.Join(r.dir, fmt.Sprintf("violation-%d.txt", i+1)))
	if err != nil {
		return err
	}
	for j := range f.Violations {
		fmt.Fprintln(file, f.Violations[j])
	}
	r.writeFaults(file)
	writeSession(file, f.Session, r.begun)

	return file.Close()
}

func (r *runner) writeFaults(w io.Writer) {
	fmt.Fprintln(w, "\nfaults:")
	for i := range r.faults {
		f := &r.faults[i]
		fmt.Fprintf(w, "%9.3f %9.3f %s\n", f.From.Sub(r.begun).Seconds(), f.To.Sub(r.begun).Seconds(), describe(f))
	}
}

func writeReader(w io.Writer, r *check.Reader, begun time.Time) {
	fmt.Fprintf(w, "\nreader %s", r.Name)
	if !r.Came.IsZero() {
		fmt.Fprintf(w, ", came at %.3f with %d events of another and had to see %d turns", r.Came.Sub(begun).Seconds(), r.Known,
			r.Until)
	}
	fmt.Fprintln(w)
}

func writeSession(w io.Writer, s *check.Session, begun time.Time) {
	fmt.Fprintf(w, "\nsession %s\n", s.ID)
	for i := range s.Turns {
		t := &s.Turns[i]
		fmt.Fprintf(w, "turn %d %s posted %.3f acked %v cancel %v %.100q\n", i, t.ID, t.Posted.Sub(begun).Seconds(), t.Acked,
			!t.Cancel.IsZero(), t.Prompt)
	}
	for i := range s.Readers {
		writeReader(w, &s.Readers[i], begun)
		for j := range s.Readers[i].Events {
			e := &s.Readers[i].Events[j]
			if e.Gone {
				fmt.Fprintf(w, "%9.3f told that its place is gone\n", e.At.Sub(begun).Seconds())

				continue
			}
			fmt.Fprintf(w, "%9.3f %v stream %s root %s kind %d index %d from %d end %v %q\n", e.At.Sub(begun).Seconds(), e.Cursor,
				e.Info.Stream, e.Info.Root, e.Event.Kind, e.Event.Chunk.Index, e.Event.From, e.Event.End, e.Event.Chunk.Data)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.Logs)) {
		fmt.Fprintf(w, "\nlog %s\n", id)
		for _, e := range s.Logs[id] {
			fmt.Fprintf(w, "at %v attempt %d writer %s first %d chunks %d begin %v state %q %s %v %q\n", e.Position, e.Attempt,
				e.Writer, e.First, len(e.Lengths), e.Begin, e.State, e.Reason, e.Meta, e.Body)
		}
	}
}
