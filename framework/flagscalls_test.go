package framework

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/call"
)

func TestCallsAreSetByFlagsAndEnvironment(t *testing.T) {
	t.Parallel()

	env := map[string]string{
		"WOODWORK_CALL_TIMEOUT": "7s", "WOODWORK_CALL_ATTEMPTS": "9", "WOODWORK_CALL_BREAKER_FAILURES": "-1",
		"WOODWORK_CALL_BREAKER_RECOVERY": "11s", "WOODWORK_CALL_BREAKER_SUCCESSES": "4", "WOODWORK_CALL_BREAKER_PROBES": "2",
	}

	o, _, err := parsed(t, env, "-call-timeout", "-1s", "-call-breaker-probes=6")
	want := call.Config{
		Timeout: -time.Second, Attempts: 9,
		Breaker: breaker.Config{Failures: -1, Recovery: 11 * time.Second, Successes: 4, Probes: 6},
	}

	if diff := cmp.Diff(want, o.Config.callConfig()); diff != "" || err != nil {
		t.Errorf("%v, settings (-want +got):\n%s", err, diff)
	}

	o, _, err = parsed(t, nil)
	if diff := cmp.Diff(call.Config{}, o.Config.callConfig()); diff != "" || err != nil {
		t.Errorf("%v, without flags (-want +got):\n%s", err, diff)
	}
}

// TestCallsThatCannotBe: each mistake is told with the flag, its variable, what was said and what can be.
func TestCallsThatCannotBe(t *testing.T) {
	t.Parallel()

	for flag, c := range map[string]struct {
		values []string
		want   string
	}{
		"call-timeout":           {[]string{"0s", "-2s", "-1ns"}, "use a positive duration, or -1s for no bound"},
		"call-attempts":          {[]string{"0", "-1"}, "use 1 or more"},
		"call-breaker-failures":  {[]string{"0", "-2"}, "use 1 or more, or -1 for never"},
		"call-breaker-recovery":  {[]string{"0s", "-1s"}, "use a positive duration"},
		"call-breaker-successes": {[]string{"0", "-1"}, "use 1 or more"},
		"call-breaker-probes":    {[]string{"0", "-1"}, "use 1 or more"},
	} {
		for _, value := range c.values {
			_, _, byFlag := parsed(t, nil, "-"+flag, value)
			_, _, byVariable := parsed(t, map[string]string{envName(flag): value})
			want := "-" + flag + " (" + envName(flag) + ") " + value + ": " + c.want

			for _, err := range []error{byFlag, byVariable} {
				if _, ok := errors.AsType[*UsageError](err); !ok || err.Error() != want {
					t.Errorf("got %v, want a usage error %q", err, want)
				}
			}
		}

		_, _, err := parsed(t, map[string]string{envName(flag): "many"})
		if err == nil || !strings.Contains(err.Error(), envName(flag)) {
			t.Errorf("a word for a number: %v", err)
		}
	}
}
