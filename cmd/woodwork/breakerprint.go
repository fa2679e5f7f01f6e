package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/registry"
)

// printBreakerTable prints circuit breakers, one on each line, by who has them and by their names.
func printBreakerTable(out io.Writer, all []held) error {
	slices.SortStableFunc(all, func(a, b held) int {
		return cmp.Or(cmp.Compare(a.Component, b.Component), cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Name, b.Name))
	})

	w := newTable(out)
	fmt.Fprintln(w, "COMPONENT\tINSTANCE\tTARGET\tSTATE\tMODE\tSINCE\tFAILURES\tREFUSED\tREASON")

	for _, h := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n",
			h.Component, h.Instance, clean(h.Name), clean(string(h.State)), mode(h.Mode), when(h.Since), h.Failures, h.Rejected,
			orDash(shorten(clean(h.Reason), tableReason)))
	}

	return w.Flush()
}

// mode says who decides.
func mode(m breaker.Mode) string {
	if m == breaker.Auto {
		return string(m)
	}

	return "forced"
}

// printOverrideTable prints what operators say, if they say anything.
func printOverrideTable(out io.Writer, all []registry.Override) error {
	if len(all) == 0 {
		return nil
	}

	fmt.Fprintln(out)

	w := newTable(out)
	fmt.Fprintln(w, "OPERATORS SAY\tCOMPONENT\tMODE\tMADE\tFOR\tREASON")

	for n := range all {
		o := &all[n]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n",
			clean(o.Target), cmp.Or(o.Component, "(all)"), o.Mode, when(o.Made), orDash(holds(o)),
			orDash(shorten(clean(o.Reason), tableReason)))
	}

	return w.Flush()
}

// holds is how long an override holds from when it was made; empty for one that has no end.
func holds(o *registry.Override) string {
	if o.TTL == 0 {
		return ""
	}

	return (time.Duration(o.TTL) * time.Second).String()
}

// printDecision says what holds from now on, and for how many instances.
func printDecision(out io.Writer, o *registry.Override, have int) error {
	what := "is left to itself"
	if o.Mode != breaker.Auto {
		what = "is forced " + string(o.Mode)
	}

	if d := holds(o); d != "" {
		what += " for " + d
	}

	who := "no instance has such a breaker yet"

	switch {
	case have == 1:
		who = "1 instance has such a breaker now"
	case have > 1:
		who = fmt.Sprintf("%d instances have such a breaker now", have)
	}

	_, err := fmt.Fprintf(out, "%s %s; %s\n", clean(o.String()), what, who)

	return err
}
