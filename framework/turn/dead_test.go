package turn_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/bustest"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/session"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/framework/turn"
)

var errPoison = errors.New("poison")

// poisoned fails on the turn t1 and echoes every other one.
func poisoned(runs *int, err error) turn.Handler {
	return func(ctx context.Context, a *turn.Attempt) error {
		if a.Record.ID == "t1" {
			*runs++

			return err
		}

		return echo(ctx, a)
	}
}

// dead returns all dead letters.
func (u *user) dead() []*bus.DeadLetter {
	u.t.Helper()

	var list []*bus.DeadLetter

	for d, err := range u.bus.Dead(u.t.Context(), "") {
		if err != nil {
			u.t.Fatalf("list dead letters: %v", err)
		}

		list = append(list, d)
	}

	return list
}

// oneDead returns the only dead letter, which is that of the turn.
func (u *user) oneDead(id string) *bus.DeadLetter {
	u.t.Helper()

	list := u.dead()
	if len(list) != 1 || list[0].ID != id {
		u.t.Fatalf("dead letters %+v, want the one of %s", list, id)
	}

	return list[0]
}

func (u *user) wantAnswer(id, want string) {
	u.t.Helper()

	if text, end := u.answer(id); text != want || end != nil {
		u.t.Errorf("answer of %s = %q, %v; want %q", id, text, end, want)
	}
}

func (u *user) wantFailed(id, reason string) {
	u.t.Helper()

	if _, end := u.answer(id); end == nil || end.End.State != bus.Failed || !strings.Contains(end.End.Reason, reason) {
		u.t.Errorf("%s ended with %v, want it to fail: %s", id, end, reason)
	}
}

func TestPoisonIsSetAsideAndItsSessionGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		runs := 0
		begin := time.Now().UTC()
		start(t, broker, turn.Config{MaxAttempts: 3, Instance: "one"}, poisoned(&runs, errPoison))

		u := newUser(t, broker)
		u.post("t1", "hello")
		u.post("t2", "after it")
		u.wantFailed("t1", "poison")
		u.wantAnswer("t2", "after it")

		if runs != 3 {
			t.Errorf("the handler ran %d times, want 3", runs)
		}

		got := u.oneDead("t1")
		reason := "handle turn: poison"
		want := &bus.DeadLetter{
			Letter: got.Letter, Reason: "failed 3 times; last: " + reason, At: begin.Add(3 * time.Second),
			Attempts: []bus.DeadAttempt{
				{Attempt: 1, Instance: "one", Reason: reason, At: begin},
				{Attempt: 1, Instance: "one", Reason: reason, At: begin.Add(time.Second)},
				{Attempt: 1, Instance: "one", Reason: reason, At: begin.Add(3 * time.Second)},
			},
			Input: []byte("hello"), InputType: bus.Text,
		}

		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("dead letter (-want +got):\n%s", diff)
		}
	})
}

func TestWhatIsSetAside(t *testing.T) {
	t.Parallel()

	upstream := func(state bus.State) error { return &stream.EndError{End: stream.End{State: state, Reason: "up"}} }

	for name, c := range map[string]struct {
		err  error
		dead bool
		runs int
	}{
		"nil":                      {nil, false, 1},
		"terminate":                {turn.Terminate(errPoison), true, 1},
		"a chunk that's too large": {&stream.TooLargeError{Size: 2, Max: 1}, true, 1},
		"an error":                 {errPoison, true, 2},
		"retry after":              {turn.RetryAfter(time.Minute, errPoison), true, 2},
		"a failed input":           {upstream(bus.Failed), false, 1},
		"a cancelled input":        {upstream(bus.Cancelled), false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				broker := membus.NewBroker(membus.Config{})
				runs := 0
				start(t, broker, turn.Config{MaxAttempts: 2}, poisoned(&runs, c.err))

				u := newUser(t, broker)
				u.post("t1", "hello")
				u.answer("t1")
				u.post("t2", "after it")
				u.wantAnswer("t2", "after it")

				if dead := len(u.dead()) == 1; dead != c.dead || runs != c.runs {
					t.Errorf("set aside: %v after %d runs; want %v after %d", dead, runs, c.dead, c.runs)
				}
			})
		})
	}
}

func TestACancelledTurnIsNotSetAside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		began := make(chan error, 2)
		start(t, broker, turn.Config{MaxAttempts: 1}, hanging(began))

		u := newUser(t, broker)
		u.post("t1", "hello")
		<-began
		u.cancel(session.Cancel{Root: "t1"})
		u.answer("t1")

		if dead := u.dead(); len(dead) > 0 {
			t.Errorf("%d dead letters", len(dead))
		}
	})
}

// An instance that drains hands the turn over; that is nobody's failure, however often it happens.
func TestHandOversAreNoAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		u := newUser(t, broker)
		u.post("t1", "hello")

		for range 6 {
			began := make(chan error, 2)
			leaving := start(t, broker, turn.Config{MaxAttempts: 2, Drain: -1}, hanging(began))
			<-began
			leaving.stop()
		}

		failures := 0
		start(t, broker, turn.Config{MaxAttempts: 2}, func(ctx context.Context, a *turn.Attempt) error {
			failures++
			if failures == 1 {
				return errPoison // the first attempt that counts
			}

			return echo(ctx, a)
		})
		u.wantAnswer("t1", "hello")

		if dead := u.dead(); len(dead) > 0 {
			t.Errorf("set aside: %+v", dead[0])
		}
	})
}

// deafBus does not notice that its claims are lost.
type deafBus struct{ *membus.Bus }

// Work implements [bus.Mailbox].
func (b deafBus) Work(
	ctx context.Context, component string, cfg bus.WorkConfig, serve func(context.Context, bus.Claim),
) error {
	return b.Bus.Work(ctx, component, cfg, func(ctx context.Context, c bus.Claim) { serve(context.WithoutCancel(ctx), c) })
}

// An instance that was declared dead while its handler failed must not set aside what another one completes.
func TestAZombieSetsNothingAside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		began, awake, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		zombie := deafBus{broker.Open()}
		store := stream.NewStore(zombie, zombie.Info(), stream.Config{})
		ctx, cancel := context.WithCancel(t.Context())

		go func() {
			ended <- turn.NewWorker(zombie, store, turn.Config{Component: component}).Run(ctx,
				func(context.Context, *turn.Attempt) error {
					close(began)
					<-awake

					return turn.Terminate(errPoison)
				})
		}()

		u := newUser(t, broker)
		u.post("t1", "hello")
		<-began
		zombie.Lapse()
		start(t, broker, turn.Config{}, echo)
		u.wantAnswer("t1", "hello")
		cancel()
		close(awake)

		if err := <-ended; err != nil {
			t.Errorf("the worker ended: %v", err)
		}

		store.Close()

		if dead := u.dead(); len(dead) > 0 {
			t.Errorf("set aside: %+v", dead[0])
		}
	})
}

func TestHowMuchOfTheInputIsKept(t *testing.T) {
	t.Parallel()

	large := bytes.Repeat([]byte("0123456789abcdef"), turn.KeptInput/16+1)

	for name, c := range map[string]struct {
		chunks    [][]byte
		open      bool // the input is still being written
		maxBody   int
		want      []byte
		truncated bool
	}{
		"all of it":      {[][]byte{[]byte("one "), nil, []byte("two")}, false, 0, []byte("one two"), false},
		"the greatest":   {[][]byte{large[:turn.KeptInput]}, false, 0, large[:turn.KeptInput], false},
		"too much":       {[][]byte{[]byte("x"), large}, false, 0, append([]byte("x"), large[:turn.KeptInput-1]...), true},
		"still growing":  {[][]byte{[]byte("one ")}, true, 0, []byte("one "), true},
		"nothing yet":    {nil, true, 0, nil, true},
		"nothing":        {nil, false, 0, nil, false},
		"more than fits": {[][]byte{large[:5<<10]}, false, 4 << 10, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				broker := membus.NewBroker(membus.Config{MaxBody: c.maxBody})
				runs := 0
				start(t, broker, turn.Config{}, poisoned(&runs, turn.Terminate(errPoison)))

				u := newUser(t, broker)
				w := u.input("t1")

				for _, chunk := range c.chunks {
					if err := w.Send(t.Context(), chunk); err != nil {
						t.Fatal(err)
					}
				}

				if err := w.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}

				if !c.open {
					if err := w.Close(t.Context()); err != nil {
						t.Fatal(err)
					}
				}

				begin := time.Now()
				u.letter("t1")
				u.wantFailed("t1", "poison")

				if took := time.Since(begin); took > time.Second {
					t.Errorf("set aside after %v", took)
				}

				if d := u.oneDead("t1"); !bytes.Equal(d.Input, c.want) || d.Truncated != c.truncated {
					t.Errorf("kept %d bytes, truncated %v; want %d, %v", len(d.Input), d.Truncated, len(c.want), c.truncated)
				}

				w.Abandon()
			})
		})
	}
}

// A bus that can't keep the letter now is asked again, however often; the handler is not.
func TestBuryingIsRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		b := bustest.Faulty(broker.Open(), bustest.FaultConfig{})
		store := stream.NewStore(b, b.Info(), stream.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		runs := 0
		cfg := turn.Config{Component: component, MaxAttempts: 1}

		for range 8 {
			b.FailNext(bustest.OpBury, bus.ErrFull, false)
		}

		b.FailNext(bustest.OpBury, bus.ErrUnknown, true)

		go func() { ended <- turn.NewWorker(b, store, cfg).Run(ctx, poisoned(&runs, errPoison)) }()

		u := newUser(t, broker)
		u.post("t1", "hello")
		u.post("t2", "after it")
		u.wantFailed("t1", "poison")
		u.wantAnswer("t2", "after it")

		if d := u.oneDead("t1"); runs != 1 || len(d.Attempts) != 1 {
			t.Errorf("%d runs, attempts %+v", runs, d.Attempts)
		}

		cancel()

		if err := errors.Join(<-ended, b.Close(context.WithoutCancel(ctx))); err != nil {
			t.Errorf("end: %v", err)
		}

		store.Close()
	})
}

func TestOnlyTheLastAttemptsAreKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		runs := 0
		long := errors.New(strings.Repeat("ä", 10<<10))
		start(t, broker, turn.Config{MaxAttempts: 50, MaxBackoff: time.Second}, poisoned(&runs, long))

		u := newUser(t, broker)
		u.post("t1", "hello")
		u.wantFailed("t1", "ä")

		d := u.oneDead("t1")
		if len(d.Attempts) != 32 || runs != 50 {
			t.Errorf("%d attempts kept after %d runs", len(d.Attempts), runs)
		}

		for _, a := range append(slices.Clone(d.Attempts), bus.DeadAttempt{Reason: d.Reason}) {
			if len(a.Reason) > 1<<10+3 || !strings.HasSuffix(a.Reason, "ä…") {
				t.Errorf("reason of %d bytes ends in %q", len(a.Reason), a.Reason[max(0, len(a.Reason)-8):])
			}
		}
	})
}
