package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/monitor"
	"github.com/woodwork-go/woodwork/framework/registry"
)

// tableBreakers is how many characters of the breakers a table shows.
const tableBreakers = 40

// printInstanceTable prints instances, one on each line.
func printInstanceTable(out io.Writer, list []registry.Instance) error {
	w := newTable(out)
	fmt.Fprintln(w, "COMPONENT\tINSTANCE\tSTATE\tLOAD\tWAITING\tSUCCESS\tP50\tP90\tP99\tBREAKERS\tHEARTBEAT\tPROBLEM")

	for n := range list {
		i := &list[n]
		p50, p90, p99 := percentiles(i.Lately)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			i.Component, i.ID, clean(string(i.State)), load(i.Load), waiting(i.Backlog), success(i.Lately), p50, p90, p99,
			shorten(breakers(i), tableBreakers), age(i), orDash(shorten(clean(i.Problem), tableReason)))
	}

	return w.Flush()
}

// printInstance prints all about one instance.
func printInstance(out io.Writer, i *registry.Instance) error {
	p50, p90, p99 := percentiles(i.Lately)

	return printFacts(out, [][2]string{
		{"component", i.Component},
		{"instance", i.ID},
		{"type", clean(i.Type)},
		{"capabilities", clean(strings.Join(i.Capabilities, ", "))},
		{"version", clean(i.Version)},
		{"state", clean(string(i.State))},
		{"problem", clean(i.Problem)},
		{"load", load(i.Load)},
		{"waiting", waiting(i.Backlog)},
		{"lately", fmt.Sprintf("%d done, %d failed, success %s", i.Lately.Done, i.Lately.Failed, success(i.Lately))},
		{"times", fmt.Sprintf("p50 %s, p90 %s, p99 %s", p50, p90, p99)},
		{"turns", fmt.Sprintf("%d since its start, %d failed, busy for %s", i.Stats.Turns, i.Stats.Errors, brief(i.Stats.Busy))},
		{"breakers", breakers(i)},
		{"limits", limits(i)},
		{"bus", connection(i.Connection)},
		{"heartbeat", fmt.Sprintf("number %d, %s ago; it expires without another one", i.Beat, age(i))},
		{"started", when(i.Started)},
		{"process", fmt.Sprintf("%d on %s", i.PID, orDash(clean(i.Host)))},
		{"health", clean(i.Endpoint)},
	})
}

func load(l registry.Load) string {
	if l.Limit == 0 {
		return strconv.Itoa(l.Running) + "/-"
	}

	return fmt.Sprintf("%d/%d", l.Running, l.Limit)
}

// waiting is how many mailboxes wait and for how long the first of them does.
func waiting(b *bus.Backlog) string {
	switch {
	case b == nil:
		return "-"
	case b.Waiting == 0:
		return "0"
	default:
		return fmt.Sprintf("%d for %s", b.Waiting, brief(b.Oldest))
	}
}

// connection is empty for an instance whose program is too old to tell.
func connection(c bus.Connection) string {
	if c.Since.IsZero() {
		return ""
	}

	state := map[bool]string{true: "connected", false: "not connected"}[c.Up] + " since " + when(c.Since)
	if c.Missing != "" {
		state += ", the broker has lost " + clean(c.Missing)
	}

	if c.Lost == 0 {
		return state + ", never lost"
	}

	return fmt.Sprintf("%s, lost %d times, the last time: %s", state, c.Lost, clean(c.Reason))
}

// success is the share of the latest work that succeeded.
func success(r monitor.Report) string {
	if r.Done == 0 {
		return "-"
	}

	return fmt.Sprintf("%.1f%%", 100*(1-float64(r.Failed)/float64(r.Done)))
}

func percentiles(r monitor.Report) (p50, p90, p99 string) {
	if r.Done == 0 {
		return "-", "-", "-"
	}

	return brief(r.P50), brief(r.P90), brief(r.P99)
}

// breakers are those that are not closed, or that an operator forced.
func breakers(i *registry.Instance) string {
	var all []string

	for _, s := range i.Breakers {
		if !s.Usual() {
			all = append(all, clean(s.Name+"="+s.Condition()))
		}
	}

	slices.Sort(all)

	return orDash(strings.Join(all, ","))
}

func limits(i *registry.Instance) string {
	names := slices.Sorted(maps.Keys(i.Limits))
	for n, name := range names {
		names[n] = clean(name + "=" + strconv.FormatInt(i.Limits[name], 10))
	}

	return strings.Join(names, ",")
}

// age bounds the age of the last heartbeat: the bus ends an entry that is older than its time to live. No clock of
// another machine would tell it better.
func age(i *registry.Instance) string { return "<" + (time.Duration(i.TTL) * time.Second).String() }

// brief is a duration for people, to about three digits.
func brief(d time.Duration) string {
	const digits = 1000

	unit := time.Duration(1)
	for d/unit >= digits {
		unit *= 10
	}

	return d.Round(unit).String()
}
