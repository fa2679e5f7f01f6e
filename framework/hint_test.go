package framework

import (
	"testing"

	"github.com/woodwork-go/woodwork/framework/breaker"
)

// TestOnlyWhatCallsFoundOutIsAHint: that an operator forced another instance's breaker says nothing of the target.
func TestOnlyWhatCallsFoundOutIsAHint(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		other breaker.Status
		want  breaker.State
	}{
		"open":          {breaker.Status{Name: "tool", State: breaker.Open, Mode: breaker.Auto}, breaker.Open},
		"forced open":   {breaker.Status{Name: "tool", State: breaker.Open, Mode: breaker.ForceOpen}, breaker.Closed},
		"another's":     {breaker.Status{Name: "db", State: breaker.Open, Mode: breaker.Auto}, breaker.Closed},
		"closed":        {breaker.Status{Name: "tool", State: breaker.Closed, Mode: breaker.Auto}, breaker.Closed},
		"forced closed": {breaker.Status{Name: "tool", State: breaker.Closed, Mode: breaker.ForceClosed}, breaker.Closed},
	} {
		set := breaker.NewSet(breaker.Config{})
		b := set.For("tool")
		hint(set, []breaker.Status{c.other})

		permit, err := b.Allow()
		if err != nil {
			t.Fatal(err)
		}

		permit.Done(breaker.Failure)

		if got := b.Status().State; got != c.want {
			t.Errorf("%s: after one failure it is %s, want %s", name, got, c.want)
		}
	}
}
