package call_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/call"
)

func TestTheServingSideKnowsWhatItIsAbout(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, setup newWorld) {
		w := setup(t, call.Config{From: "asker"})

		var got call.Incoming

		w.serve("i1", 0, func(_ context.Context, in *call.Incoming) error {
			got = *in

			return in.Reply([]byte("done"))
		})

		r := do()
		r.Body, r.Session, r.Turn, r.Root, r.ID = []byte("body"), "s", "t", "root", "corr"
		r.Header = map[string]string{"traceparent": "00-abc"}
		w.want(r, "done")

		want := call.Incoming{
			Operation: "do", ID: "corr", From: "asker", Session: "s", Turn: "t", Root: "root", Body: []byte("body"),
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(want), cmpopts.IgnoreFields(want, "Header")); diff != "" {
			t.Errorf("incoming (-want +got):\n%s", diff)
		}

		if got.Header["traceparent"] != "00-abc" {
			t.Errorf("header: %v", got.Header)
		}
	})
}

func TestErrorsSayWhatHappened(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, setup newWorld) {
		w := setup(t, call.Config{})
		w.wantError(do(), call.ErrNoInstance)
		w.wantError(call.Request{Operation: "do"}, bus.ErrInvalid)
		w.wantError(call.Request{Component: "tool"}, bus.ErrInvalid)
		w.wantError(call.Request{Component: "tool", Operation: "do", Hedge: time.Second}, bus.ErrInvalid)

		for _, key := range []string{"Call-Session", "call-turn", "CALL-", "Call-Anything"} {
			r := do()
			r.Header = map[string]string{key: "x"}
			w.wantError(r, bus.ErrInvalid)
		}

		var fail error

		w.serve("i1", 0, func(context.Context, *call.Incoming) error {
			if fail == nil {
				panic("secret")
			}

			return fail
		})

		for name, c := range map[string]struct {
			err       error
			operation string
			code      string
		}{
			"its own code": {&bus.RemoteError{Code: "empty", Text: "nothing there"}, "do", "empty"},
			"any error":    {errors.New("oops"), "do", bus.CodeInternal},
			"a panic":      {nil, "do", bus.CodeInternal},
			"no operation": {nil, "undo", call.CodeUnknown},
		} {
			fail = c.err
			_, err := w.client.Call(t.Context(), call.Request{Component: "tool", Operation: c.operation, ID: "corr"})

			failed, ok := errors.AsType[*call.Error](err)
			if !ok || code(err) != c.code || failed.Instance != "tool/i1" || failed.ID != "corr" {
				t.Errorf("%s: %v", name, err)
			}

			if strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "tool/i1") {
				t.Errorf("%s: the text is %q", name, err)
			}
		}
	})
}

func TestACallByCapability(t *testing.T) {
	t.Parallel()

	w := setup(t, call.Config{})
	w.serve("i1", 0, says("four"))
	w.want(call.Request{Capability: "sums", Operation: "do"}, "four")
	w.wantError(call.Request{Capability: "songs", Operation: "do"}, call.ErrNoInstance)
}

func TestAnInstanceThatHasTooMuchToDoRefusesAtOnceAndAnotherIsAsked(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, setup newWorld) {
		w := setup(t, call.Config{})
		busy := block()
		one := w.serve("i1", 1, busy.handle)

		first := w.begin(t.Context(), do())
		<-busy.begun

		_, err := w.client.Call(t.Context(), do())
		if !errors.Is(err, call.ErrOverloaded) || code(err) != call.CodeOverloaded {
			t.Errorf("one instance, busy: %v", err)
		}

		if running, limit := one.Load(); running != 1 || limit != 1 {
			t.Errorf("load %d of %d", running, limit)
		}

		w.serve("i2", 1, says("second"))

		for range 20 {
			w.want(do(), "second")
		}

		for _, s := range w.client.Breakers().Statuses() {
			if s.Failures != 0 {
				t.Errorf("too much work counted as a failure: %+v", s)
			}
		}

		close(busy.letGo)

		if got := <-first; got.body != "let go" {
			t.Errorf("the first call: %+v", got)
		}
	})
}

func TestNobodyServesIsTriedElsewhere(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, setup newWorld) {
		w := setup(t, call.Config{})
		w.dir.add(call.Instance{Endpoint: endpoint("ghost")})
		w.wantError(do(), bus.ErrNoResponder)
		w.serve("i1", 0, says("here"))

		for range 10 {
			w.want(do(), "here")
		}
	})
}

func TestOnlyIdempotentCallsAreSentAgain(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, setup newWorld) {
		for _, idempotent := range []bool{false, true} {
			w := setup(t, call.Config{})
			busy := block()
			dying := w.serve("i1", 0, busy.handle)

			r := do()
			r.Idempotent = idempotent
			got := w.begin(t.Context(), r)
			<-busy.begun
			w.serve("i2", 0, says("second"))

			if err := dying.bus.Close(t.Context()); err != nil {
				t.Fatal(err)
			}

			switch got := <-got; {
			case idempotent && got.body != "second":
				t.Errorf("idempotent: %+v", got)
			case !idempotent && !errors.Is(got.err, bus.ErrInterrupted):
				t.Errorf("not idempotent: %+v", got)
			}
		}
	})
}

func TestRetriesAreBounded(t *testing.T) {
	t.Parallel()

	for _, c := range []struct {
		cfg  call.Config
		want int
	}{
		{call.Config{}, 3},
		{call.Config{Attempts: 5}, 5},
		{call.Config{Attempts: 5, RetryBurst: 2}, 3},
		{call.Config{RetryBurst: -1}, 1},
	} {
		served := 0
		w := setup(t, c.cfg)
		w.serve("i1", 0, func(context.Context, *call.Incoming) error {
			served++

			return &bus.RemoteError{Code: call.CodeUnavailable}
		})

		r := do()
		r.Idempotent = true

		if _, err := w.client.Call(t.Context(), r); code(err) != call.CodeUnavailable || served != c.want {
			t.Errorf("%+v: %v after %d tries, want %d", c.cfg, err, served, c.want)
		}
	}
}

func TestNoCallWaitsForAnInstanceThatLeft(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, setup newWorld) {
		w := setup(t, call.Config{Timeout: -1})
		busy := block()
		one, two := w.serve("i1", 0, busy.handle), w.serve("i2", 0, busy.handle)

		got := []<-chan reply{w.begin(t.Context(), do()), w.begin(t.Context(), do())}
		<-busy.begun
		<-busy.begun
		w.dir.remove(one.at)
		w.dir.remove(two.at)
		w.client.Left(one.at)
		w.client.Recheck() // finds the other one

		for _, got := range got {
			if got := <-got; !errors.Is(got.err, bus.ErrInterrupted) {
				t.Errorf("got %+v", got)
			}

			<-busy.ended
		}
	})
}

func TestAnInstanceThatLeftBeforeItsCallBegan(t *testing.T) {
	t.Parallel()

	w := setup(t, call.Config{Timeout: -1})
	gone := w.serve("i1", 0, block().handle)
	w.dir.hidden[gone.at] = true // after it was chosen
	w.wantError(do(), bus.ErrInterrupted)
}

func TestCallsEndWithTheirTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t, call.Config{})
		busy := block()
		i := w.serve("i1", 0, busy.handle)

		soon, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()

		patient := do()
		patient.Timeout = 5 * time.Minute

		for _, c := range []struct {
			ctx  context.Context //nolint:containedctx // a case of this table
			r    call.Request
			want time.Duration
		}{{soon, do(), time.Second}, {t.Context(), do(), 30 * time.Second}, {t.Context(), patient, 5 * time.Minute}} {
			begun := time.Now()

			_, err := w.client.Call(c.ctx, c.r)
			took := time.Since(begun)
			if !errors.Is(err, call.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) || took != c.want {
				t.Errorf("%v after %v, want a time-out after %v", err, took, c.want)
			}

			<-busy.ended // the serving side knows
		}

		i.Stop(t.Context())
	})
}

var errCancelled = errors.New("the turn was cancelled")

func TestACancelledCallEndsOnBothSides(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, setup newWorld) {
		w := setup(t, call.Config{})
		busy := block()
		w.serve("i1", 0, busy.handle)

		ctx, cancel := context.WithCancelCause(t.Context())
		r := do()
		r.Idempotent = true
		r.Fallback = func(context.Context, error) ([]byte, error) { return []byte("instead"), nil }
		got := w.begin(ctx, r)
		<-busy.begun
		cancel(errCancelled)

		if got := <-got; !errors.Is(got.err, errCancelled) {
			t.Errorf("got %+v", got)
		}

		<-busy.ended

		if s := w.client.Breakers().For("tool/i1").Status(); s.Failures != 0 {
			t.Errorf("the caller's cancel counted: %+v", s)
		}
	})
}

func TestHedging(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t, call.Config{RetryBurst: 1, RetryShare: -1})
		slow := block()
		one, two := w.serve("i1", 0, slow.handle), w.serve("i2", 0, slow.handle)

		r := do()
		r.Idempotent, r.Hedge = true, 100*time.Millisecond
		got := w.begin(t.Context(), r)

		<-slow.begun
		synctest.Wait()

		if len(slow.begun) != 0 {
			t.Error("both were asked at once")
		}

		<-slow.begun
		slow.letGo <- struct{}{} // one of the two

		if got := <-got; got.body != "let go" {
			t.Errorf("got %+v", got)
		}

		<-slow.ended // the other one

		for _, s := range w.client.Breakers().Statuses() {
			if s.Failures != 0 {
				t.Errorf("the loser counted as a failure: %+v", s)
			}
		}

		r.Timeout = time.Second // the budget is spent
		if _, err := w.client.Call(t.Context(), r); !errors.Is(err, call.ErrTimeout) || len(slow.begun) != 1 {
			t.Errorf("without budget: %v, %d more were asked", err, len(slow.begun))
		}

		one.Stop(t.Context())
		two.Stop(t.Context())
	})
}

func TestBreakersKeepCallsAwayFromWhatFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t, call.Config{Breaker: breaker.Config{Failures: 3}})
		sick, served := true, 0
		i := w.serve("i1", 0, func(_ context.Context, in *call.Incoming) error {
			served++

			if sick {
				return errors.New("sick")
			}

			return in.Reply([]byte("well"))
		})

		for range 3 {
			if _, err := w.client.Call(t.Context(), do()); code(err) != bus.CodeInternal {
				t.Error(err)
			}
		}

		w.wantError(do(), call.ErrBreakerOpen)

		r := do()
		r.Fallback = func(_ context.Context, reason error) ([]byte, error) {
			if !errors.Is(reason, call.ErrBreakerOpen) {
				t.Error(reason)
			}

			return []byte("instead"), nil
		}
		w.want(r, "instead")

		if served != 3 {
			t.Errorf("served %d, want 3", served)
		}

		sick = false

		<-time.After(time.Minute)

		for range 3 {
			w.want(do(), "well")
		}

		if s := w.client.Breakers().For("tool").Status(); s.State != breaker.Closed {
			t.Errorf("after it recovered: %+v", s)
		}

		i.Stop(t.Context())
	})
}

func TestASickInstanceIsPassedOver(t *testing.T) {
	t.Parallel()

	w := setup(t, call.Config{})
	w.serve("i1", 0, says("well"))
	w.serve("i2", 0, says("sick"))
	w.client.Breakers().For("tool/i2").Force(breaker.ForceOpen, "")

	for range 20 {
		w.want(do(), "well")
	}

	w.client.Breakers().For("tool/i1").Force(breaker.ForceOpen, "moving")
	w.client.Breakers().For("tool/i2").Force(breaker.ForceOpen, "moving")
	w.wantError(do(), call.ErrBreakerOpen)

	_, err := w.client.Call(t.Context(), do())
	if open, ok := errors.AsType[*breaker.OpenError](err); !ok || !open.Forced || open.Reason != "moving" {
		t.Errorf("got %v, want that an operator forced it", err)
	}
}

func TestStoppingWaitsAndSendsOthersElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t, call.Config{})
		busy := block()
		one := w.serve("i1", 0, busy.handle)
		got := []<-chan reply{w.begin(t.Context(), do()), w.begin(t.Context(), do())}

		<-busy.begun
		<-busy.begun

		two := w.serve("i2", 0, says("second"))
		patience, giveUp := context.WithCancel(t.Context())
		stopped := make(chan struct{})

		go func() {
			one.Stop(patience)
			close(stopped)
		}()

		synctest.Wait()

		for range 20 {
			w.want(do(), "second")
		}

		busy.letGo <- struct{}{}

		synctest.Wait()
		giveUp()
		<-stopped

		if err := <-busy.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("a handler that had to end was told %v", err)
		}

		a, b := <-got[0], <-got[1]
		if (a.err == nil) == (b.err == nil) {
			t.Errorf("one should have finished, the other not: %+v, %+v", a, b)
		}

		two.Stop(t.Context())
	})
}
