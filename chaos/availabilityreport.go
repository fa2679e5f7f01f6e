package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/chaos/load"
	"github.com/woodwork-go/woodwork/framework/bus"
)

// report prints the figures and returns what is wrong with them.
func (a *outage) report(info bus.Info, users *load.Runner) error {
	stats, failures := users.Result()
	byKind := map[check.Kind]int{}
	for _, f := range failures {
		for _, v := range f.Violations {
			byKind[v.Kind]++
		}
	}
	a.figures(info, &stats, byKind)

	return a.verdict(failures)
}

// verdict returns what is wrong: too few turns, too few that succeeded, and each promise that was broken.
func (a *outage) verdict(failures []load.Failure) error {
	var errs []error
	if a.turns.turns < a.least {
		errs = append(errs, fmt.Errorf("%w: %d of at least %d", errFewTurns, a.turns.turns, a.least))
	}
	if got := a.turns.available(); got < wantAvailable {
		errs = append(errs, fmt.Errorf("%w: %.3f %% of at least %.1f %%", errUnavailable, 100*got, 100*wantAvailable))
	}
	if a.turns.misled > 0 {
		errs = append(errs, fmt.Errorf("%w: %d answers name another model than the one that gave them", errViolated, a.turns.misled))
	}
	if len(failures) > 0 {
		errs = append(errs, a.keepAll(failures))
	}

	return errors.Join(errs...)
}

func (a *outage) figures(info bus.Info, stats *load.Stats, byKind map[check.Kind]int) {
	t := a.turns
	line := a.linef
	fmt.Fprintf(a.out, "\navailability: seed %d, %s (%s), %v, %v in all; %d llm, %d relay, %d input, %d output\n", a.seed,
		info.Kind, info.Durability, a.duration, time.Since(a.begun).Round(time.Second), a.llms, a.relays, edges, edges)
	line("first provider down", "%v (%s)", t.down.Round(time.Millisecond), counts(t.modes))
	killed := map[string]int{}
	for i := range a.faults {
		killed[a.faults[i].Name()]++
	}
	line("instances killed", "%d (%s)", len(a.faults), counts(killed))
	line("exits nobody asked for", "%s", counts(a.system.Exits()))
	line("turns", "%d of %d sessions", t.turns, stats.Sessions)
	line("succeeded", "%d (whole, and within %v)", t.succeeded, patience)
	line("answered by", "%s; %d begun by one and given by the other", counts(t.by), t.handed)
	for _, p := range []struct {
		name   string
		counts func() (int, int)
	}{{primary, a.primary.Counts}, {fallback, a.fallback.Counts}} {
		whole, broken := p.counts()
		line("requests to "+p.name, "%d answered, %d failed or given up", whole, broken)
	}
	line("breakers seen to open", "%s", counts(a.openings.counts()))
	slices.Sort(t.took)
	line("post to end of answer", "%s", percentiles(t.took))
	all, undisturbed := a.recorder.Times(func(component string) []string { return append(needs(component), primary) })
	line("resume after kill -9", "%s", percentiles(undisturbed))
	line("  provider down or not", "%s", percentiles(all))
	line("restarts that readers saw", "%d", stats.Superseded)
	for _, kind := range check.Kinds() {
		line(string(kind), "%d", byKind[kind])
	}
	for _, why := range t.worst() {
		line("not succeeded", "%d: %s", t.why[why], why)
	}
	line("availability", "%.3f %%", 100*t.available())
}
