package framework

import (
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/woodwork-go/woodwork/framework/call"
)

// registerCalls adds the flags that say how other components are called.
func registerCalls(fs *flag.FlagSet, c *call.Config) {
	fs.DurationVar(&c.Timeout, "call-timeout", 0, "how long a call of a component may take; -1s: no bound (default 30s)")
	fs.IntVar(&c.Attempts, "call-attempts", 0, "how often an idempotent call is sent at most (default 3)")
	fs.IntVar(&c.Breaker.Failures, "call-breaker-failures", 0,
		"failed calls in a row that open a component's circuit breaker; -1: never (default 5)")
	fs.DurationVar(&c.Breaker.Recovery, "call-breaker-recovery", 0,
		"how long an open one refuses calls before it lets probes through (default 1m)")
	fs.IntVar(&c.Breaker.Successes, "call-breaker-successes", 0, "probes in a row that close it (default 3)")
	fs.IntVar(&c.Breaker.Probes, "call-breaker-probes", 0, "probes at once (default 1)")
}

// What the flags of calls may be.
var (
	errBound    = errors.New("use a positive duration, or -1s for no bound")
	errDuration = errors.New("use a positive duration")
	errNever    = errors.New("use 1 or more, or -1 for never")
	errCount    = errors.New("use 1 or more")
)

// checkCalls reports each setting of calls that was given and can't be used.
func checkCalls(fs *flag.FlagSet, c *call.Config) error {
	given := givenFlags(fs)

	var errs []error

	for _, s := range []struct {
		flag string
		fine bool
		want error
	}{
		{"call-timeout", c.Timeout > 0 || c.Timeout == -time.Second, errBound},
		{"call-attempts", c.Attempts > 0, errCount},
		{"call-breaker-failures", c.Breaker.Failures > 0 || c.Breaker.Failures == -1, errNever},
		{"call-breaker-recovery", c.Breaker.Recovery > 0, errDuration},
		{"call-breaker-successes", c.Breaker.Successes > 0, errCount},
		{"call-breaker-probes", c.Breaker.Probes > 0, errCount},
	} {
		if given[s.flag] && !s.fine {
			errs = append(errs, fmt.Errorf("-%s (%s) %s: %w", s.flag, envName(s.flag), fs.Lookup(s.flag).Value, s.want))
		}
	}

	return errors.Join(errs...)
}
