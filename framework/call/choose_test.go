package call

import (
	"context"
	"testing"

	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// TestFurtherTriesStayWithinTheirShare, whatever the order of calls and tries is.
func TestFurtherTriesStayWithinTheirShare(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		share, burst := rapid.Float64Range(0, 1).Draw(t, "share"), rapid.IntRange(0, 10).Draw(t, "burst")
		b := newBudget(share, burst)
		calls, allowed, refused := 0, 0, 0

		for _, isCall := range rapid.SliceOf(rapid.Bool()).Draw(t, "what") {
			switch {
			case isCall:
				calls++

				b.earn()
			case b.spend():
				allowed++
			default:
				refused++
			}

			if most := float64(burst) + share*float64(calls); float64(allowed) > most+1e-9 {
				t.Fatalf("%d further tries of %d calls, want at most %v", allowed, calls, most)
			}

			if refused > 0 && allowed < burst {
				t.Fatalf("refused after %d of %d", allowed, burst)
			}
		}
	})
}

func of() *flight {
	c := NewClient(nil, nil, Config{})

	return c.takeOff(Request{Session: "s", Sticky: true}, nil)
}

func instances(n int) []Instance {
	out := make([]Instance, n)
	for i := range out {
		out[i].Endpoint = bus.Endpoint{Component: "tool", Instance: string(rune('a' + i))}
		out[i].Limit = 10
	}

	return out
}

func TestTheLessLoadedOfTwoIsChosen(t *testing.T) {
	t.Parallel()

	f := of()
	f.request.Sticky = false

	all := instances(4)
	all[2].Running = 9

	for range 200 {
		if n := f.best(all); n == 2 {
			t.Fatal("the busiest of all was chosen")
		}
	}

	two := instances(2)
	f.client.calls[two[0].Endpoint] = map[*context.CancelCauseFunc]struct{}{new(context.CancelCauseFunc): {}}

	for range 50 {
		if f.best(two) != 1 {
			t.Fatal("what is under way from here did not count")
		}
	}
}

func TestASessionKeepsItsInstanceWhileThatHasRoom(t *testing.T) {
	t.Parallel()

	f, all := of(), instances(5)
	own := f.best(all)

	for range 50 {
		if f.best(all) != own {
			t.Fatal("the session moved")
		}
	}

	all[own].Running = 10
	if f.best(all) == own {
		t.Error("a full instance was preferred")
	}

	all[own].Running = 0
	owner := all[own].Endpoint
	fewer := append([]Instance{}, all[:(own+1)%5]...)
	fewer = append(fewer, all[(own+1)%5+1:]...) // without another one

	if fewer[f.best(fewer)].Endpoint != owner {
		t.Error("the session moved when another instance left")
	}

	seen := map[bus.Endpoint]bool{}

	for n := range 100 {
		f.request.Session = string(rune('A' + n))
		seen[all[f.best(all)].Endpoint] = true
	}

	if len(seen) != 5 {
		t.Errorf("100 sessions fell to %d of 5 instances", len(seen))
	}
}
