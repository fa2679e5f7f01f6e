package breaker_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework/breaker"
)

var errDown = errors.New("down")

// report makes a call with an outcome and returns the error of the breaker.
func report(b *breaker.Breaker, o breaker.Outcome) error {
	p, err := b.Allow()
	if err == nil {
		p.Done(o)
	}

	return err
}

func reports(t *testing.T, b *breaker.Breaker, outcomes ...breaker.Outcome) {
	t.Helper()

	for i, o := range outcomes {
		if err := report(b, o); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
}

func fail(t *testing.T, b *breaker.Breaker, times int) {
	t.Helper()

	for range times {
		reports(t, b, breaker.Failure)
	}
}

func TestTheWholeLifeOfABreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var changes []string

		begun := time.Now()
		b := breaker.New("tool", breaker.Config{OnChange: func(c breaker.Change) {
			changes = append(changes, c.At.Sub(begun).String()+" "+string(c.From)+" → "+string(c.To))
		}})

		fail(t, b, 4)
		reports(t, b, breaker.Success) // the row is broken
		fail(t, b, 4)

		if s := b.Status(); s.State != breaker.Closed || s.Failures != 4 {
			t.Errorf("after four failures in a row: %+v", s)
		}

		fail(t, b, 1)

		var open *breaker.OpenError
		err := report(b, breaker.Success)
		if !errors.As(err, &open) || !errors.Is(err, breaker.ErrOpen) || open.RetryIn != time.Minute {
			t.Errorf("an open breaker said %v", err)
		}

		<-time.After(time.Minute - time.Nanosecond)

		if err := report(b, breaker.Success); !errors.Is(err, breaker.ErrOpen) {
			t.Errorf("before the recovery was over: %v", err)
		}

		<-time.After(time.Nanosecond)
		reports(t, b, breaker.Success, breaker.Success, breaker.Failure) // the third probe fails

		<-time.After(time.Minute)
		reports(t, b, breaker.Success, breaker.Success, breaker.Success)

		want := breaker.Status{
			Name: "tool", State: breaker.Closed, Since: begun.Add(2 * time.Minute), Mode: breaker.Auto, Opened: 2, Rejected: 2,
		}
		if diff := cmp.Diff(want, b.Status()); diff != "" {
			t.Errorf("status (-want +got):\n%s", diff)
		}

		if diff := cmp.Diff([]string{
			"0s closed → open", "1m0s open → half-open", "1m0s half-open → open",
			"2m0s open → half-open", "2m0s half-open → closed",
		}, changes); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
	})
}

func TestProbesAreLimitedAndAnIgnoredOneMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New("tool", breaker.Config{Probes: 2})
		fail(t, b, 5)
		<-time.After(time.Minute)

		var probes []*breaker.Permit

		for range 2 {
			p, err := b.Allow()
			if err != nil {
				t.Fatal(err)
			}

			probes = append(probes, p)
		}

		if err := report(b, breaker.Success); !errors.Is(err, breaker.ErrOpen) || b.Admits() {
			t.Errorf("a third probe: %v, admits %v", err, b.Admits())
		}

		probes[0].Done(breaker.Ignored)
		probes[0].Done(breaker.Failure) // only the first report counts
		reports(t, b, breaker.Success, breaker.Success)
		probes[1].Done(breaker.Success)

		if s := b.Status(); s.State != breaker.Closed {
			t.Errorf("after three good probes: %+v", s)
		}
	})
}

func TestALateAnswerDecidesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New("tool", breaker.Config{})

		late, err := b.Allow()
		if err != nil {
			t.Fatal(err)
		}

		fail(t, b, 5)
		<-time.After(time.Minute)
		reports(t, b, breaker.Success)
		late.Done(breaker.Failure) // from before it opened

		if s := b.Status(); s.State != breaker.HalfOpen || s.Successes != 1 {
			t.Errorf("status: %+v", s)
		}
	})
}

func TestAnOperatorDecides(t *testing.T) {
	t.Parallel()

	changes := 0
	b := breaker.New("tool", breaker.Config{OnChange: func(breaker.Change) { changes++ }})

	b.Force(breaker.ForceOpen, "moving")

	open, ok := errors.AsType[*breaker.OpenError](report(b, breaker.Success))
	if !ok || !open.Forced || open.RetryIn != 0 || b.Admits() ||
		open.Error() != "tool: the circuit breaker is open: forced by an operator: moving" {
		t.Errorf("forced open: %+v, admits %v", open, b.Admits())
	}

	b.Force(breaker.ForceClosed, "")
	fail(t, b, 20)

	if s := b.Status(); s.State != breaker.Closed || s.Mode != breaker.ForceClosed || s.Failures != 0 {
		t.Errorf("forced closed: %+v", s)
	}

	b.Force(breaker.Auto, "")
	fail(t, b, 5)

	if s := b.Status(); s.State != breaker.Open || s.Mode != breaker.Auto || s.Reason != "" {
		t.Errorf("left to itself: %+v", s)
	}

	if err := report(b, breaker.Success); strings.Contains(err.Error(), "operator") {
		t.Errorf("left to itself: %v", err)
	}

	if changes != 4 {
		t.Errorf("%d changes were told, want 4", changes)
	}
}

func TestAHintLowersTheBarForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New("tool", breaker.Config{})

		b.Hint(breaker.Open)
		reports(t, b, breaker.Success)
		<-time.After(time.Minute)
		fail(t, b, 1)

		if s := b.Status(); s.State != breaker.Closed {
			t.Errorf("an old hint: %+v", s)
		}

		b.Hint(breaker.Open)
		b.Hint(breaker.Closed)
		fail(t, b, 1)

		if s := b.Status(); s.State != breaker.Closed {
			t.Errorf("a hint taken back: %+v", s)
		}

		b.Hint(breaker.Open)
		fail(t, b, 1)

		if s := b.Status(); s.State != breaker.Open {
			t.Errorf("a fresh hint and a failure: %+v", s)
		}
	})
}

func TestABreakerCanBeSwitchedOff(t *testing.T) {
	t.Parallel()

	b := breaker.New("tool", breaker.Config{Failures: -1})
	fail(t, b, 100)

	if !b.Admits() {
		t.Error("a breaker that never opens refuses")
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New("tool", breaker.Config{})
		down := func(context.Context) (string, error) { return "", errDown }
		hang := func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() }
		instead := func(_ context.Context, reason error) (string, error) { return "instead: " + reason.Error(), nil }

		begun := time.Now()
		_, err := breaker.Run(t.Context(), b, hang, nil)
		if !errors.Is(err, breaker.ErrTimeout) || time.Since(begun) != 30*time.Second {
			t.Errorf("a call that hangs: %v after %v", err, time.Since(begun))
		}

		gone, leave := context.WithCancel(t.Context())
		leave()

		if got, err := breaker.Run(gone, b, hang, instead); !errors.Is(err, context.Canceled) || got != "" {
			t.Errorf("a caller who left got %q, %v", got, err)
		}

		for range 4 {
			if got, err := breaker.Run(t.Context(), b, down, instead); got != "instead: down" || err != nil {
				t.Errorf("a call that failed: %q, %v", got, err)
			}
		}

		if got, err := breaker.Run(t.Context(), b, down, instead); err != nil ||
			got != "instead: tool: the circuit breaker is open; it will be tried again in 1m0s" {
			t.Errorf("a call that was refused: %q, %v", got, err)
		}

		if _, err := breaker.Run(t.Context(), b, down, nil); !errors.Is(err, breaker.ErrOpen) {
			t.Errorf("a refused call without a fallback: %v", err)
		}
	})
}

func TestAPanicIsAFailureAndGoesOn(t *testing.T) {
	t.Parallel()

	b := breaker.New("tool", breaker.Config{Failures: 1})

	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()

		_, _ = breaker.Run(t.Context(), b, func(context.Context) (int, error) { panic("boom") }, nil)
	}()

	if b.Admits() {
		t.Error("the panic did not count")
	}
}

func TestSet(t *testing.T) {
	t.Parallel()

	s := breaker.NewSet(breaker.Config{Failures: 1})

	old, other := s.For("a"), s.For("b")
	if s.For("a") != old || old == other {
		t.Error("one breaker for each target, please")
	}

	s.Forget("a")

	if s.For("a") == old {
		t.Error("a forgotten breaker came back")
	}

	s.Hint("c", breaker.Open)
	fail(t, s.For("b"), 1)

	var got []string
	for _, status := range s.Statuses() {
		got = append(got, status.Name+" "+string(status.State))
	}

	if diff := cmp.Diff([]string{"a closed", "b open"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestASetRemembersWhatItWasTold of targets that come later, or again.
func TestASetRemembersWhatItWasTold(t *testing.T) {
	t.Parallel()

	s := breaker.NewSet(breaker.Config{})
	condition := func(name string) string { return s.For(name).Status().Condition() }

	s.For("there")
	s.Force("there", breaker.ForceOpen, "moving")
	s.Force("later", breaker.ForceClosed, "")

	if got := s.Statuses(); len(got) != 1 {
		t.Errorf("a breaker that nobody needs was made: %+v", got)
	}

	s.For("other")
	s.Forget("there")

	want := []string{"open (forced: moving)", "closed (forced)", "closed"}
	if diff := cmp.Diff(want, []string{condition("there"), condition("later"), condition("other")}); diff != "" {
		t.Errorf("forced (-want +got):\n%s", diff)
	}

	s.Force("there", breaker.Auto, "")
	s.Force("later", breaker.Auto, "")
	s.Forget("later")

	want = []string{"closed", "closed"}
	if diff := cmp.Diff(want, []string{condition("there"), condition("later")}); diff != "" {
		t.Errorf("taken back (-want +got):\n%s", diff)
	}
}

func TestWhatIsUsual(t *testing.T) {
	t.Parallel()

	b := breaker.New("tool", breaker.Config{Failures: 1})
	if !b.Status().Usual() {
		t.Error("a closed one is not usual")
	}

	b.Force(breaker.ForceClosed, "")

	if b.Status().Usual() {
		t.Error("a forced one is usual")
	}

	b.Force(breaker.Auto, "")
	fail(t, b, 1)

	if b.Status().Usual() {
		t.Error("an open one is usual")
	}
}
