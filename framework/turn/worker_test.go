package turn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/framework/turn"
	"github.com/woodwork-go/woodwork/subjects"
)

const (
	sessionID = "s1"
	component = "echo"
)

// instance is one process of the component: a connection, its streams, and a worker.
type instance struct {
	bus   *membus.Bus
	store *stream.Store
	stop  func()
}

// start runs an instance until the test ends or stop is called.
func start(t *testing.T, broker *membus.Broker, cfg turn.Config, handle turn.Handler) *instance {
	t.Helper()

	b := broker.Open()
	store := stream.NewStore(b, b.Info(), stream.Config{})
	cfg.Component = orComponent(cfg.Component)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)

	go func() { done <- turn.NewWorker(b, store, cfg).Run(ctx, handle) }()

	stop := sync.OnceFunc(func() {
		cancel()

		if err := <-done; err != nil && !errors.Is(err, bus.ErrClosed) {
			t.Errorf("worker ended: %v", err)
		}

		store.Close()
		_ = b.Close(context.WithoutCancel(ctx)) // membus always succeeds
	})
	t.Cleanup(stop)

	return &instance{bus: b, store: store, stop: stop}
}

func orComponent(name string) string {
	if name == "" {
		return component
	}

	return name
}

// user is the outside: it posts turns and reads outputs.
type user struct {
	t     *testing.T
	bus   *membus.Bus
	store *stream.Store
}

func newUser(t *testing.T, broker *membus.Broker) *user {
	t.Helper()

	b := broker.Open()
	store := stream.NewStore(b, b.Info(), stream.Config{})

	t.Cleanup(func() {
		store.Close()
		_ = b.Close(context.WithoutCancel(t.Context()))
	})

	return &user{t: t, bus: b, store: store}
}

// post posts a turn whose input is the text.
func (u *user) post(id, text string) {
	u.t.Helper()
	u.write(id, text)
	u.letter(id)
}

// write stores the whole input of a turn.
func (u *user) write(id, text string) {
	u.t.Helper()

	w := u.input(id)
	if err := errors.Join(w.Send(u.t.Context(), []byte(text)), w.Close(u.t.Context())); err != nil {
		u.t.Fatalf("write input: %v", err)
	}
}

func (u *user) input(id string) *stream.Writer {
	u.t.Helper()

	w, err := u.store.OpenWriter(u.t.Context(), stream.WriterConfig{
		Session: sessionID, Info: stream.Info{Stream: id, Component: "input", Target: component, Turn: id, Root: id},
	})
	if err != nil {
		u.t.Fatalf("open input: %v", err)
	}

	return w
}

func (u *user) letter(id string) {
	u.t.Helper()

	r := turn.Record{ID: id, Session: sessionID, Component: component, Root: id}
	if err := turn.Post(u.t.Context(), u.bus, r, nil); err != nil {
		u.t.Fatalf("post: %v", err)
	}
}

// answer returns the output of a turn and how it ended.
func (u *user) answer(id string) (text string, end *stream.EndError) {
	u.t.Helper()

	return u.read(outputID(id, component))
}

func (u *user) read(streamID string) (text string, end *stream.EndError) {
	u.t.Helper()

	r, err := u.store.OpenReader(u.t.Context(), bus.StreamID{Session: sessionID, Stream: streamID}, bus.Cursor{})
	if err != nil {
		u.t.Fatalf("open output: %v", err)
	}
	defer r.Close()

	data, err := r.ReadAll(u.t.Context())
	if err != nil && !errors.As(err, &end) {
		u.t.Fatalf("read output: %v", err)
	}

	return string(data), end
}

// outputID is the id of the output of a turn that the user posted, for the user.
func outputID(id, component string) string { return subjects.Derive(id, component, id, "") }

func echo(ctx context.Context, a *turn.Attempt) error {
	data, err := a.Input.ReadAll(ctx)
	if err != nil {
		return err
	}

	return a.Output.Send(ctx, data)
}

func TestTurnsOfASessionRunInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})

		var (
			mu   sync.Mutex
			seen []string
			busy int
		)

		handle := func(ctx context.Context, a *turn.Attempt) error {
			mu.Lock()

			busy++
			if busy > 1 {
				t.Error("two turns of one session run at once")
			}

			seen = append(seen, a.Record.ID)
			mu.Unlock()

			defer func() { mu.Lock(); busy--; mu.Unlock() }()

			return echo(ctx, a)
		}
		start(t, broker, turn.Config{}, handle)
		start(t, broker, turn.Config{}, handle)

		u := newUser(t, broker)

		var want []string

		for i := range 20 {
			id := fmt.Sprintf("t%02d", i)
			want = append(want, id)
			u.post(id, "hello "+id)
		}

		for _, id := range want {
			if text, end := u.answer(id); text != "hello "+id || end != nil {
				t.Errorf("answer of %s = %q, %v", id, text, end)
			}
		}

		mu.Lock()
		defer mu.Unlock()

		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("order of turns (-want +got):\n%s", diff)
		}
	})
}

// The table says what a reader sees at the end, and how often the handler ran.
func TestTheErrorDecidesTheFate(t *testing.T) {
	t.Parallel()

	boom := errors.New("boom")
	ended := func(state bus.State) error { return &stream.EndError{End: stream.End{State: state, Reason: "up"}} }
	panicking := func(context.Context, *turn.Attempt) error { panic(boom) }
	returning := func(err error) turn.Handler {
		return func(ctx context.Context, a *turn.Attempt) error {
			return errors.Join(a.Output.Send(ctx, []byte("partial")), err)
		}
	}

	for name, c := range map[string]struct {
		handle turn.Handler
		text   string
		state  bus.State
		reason string
		runs   int
	}{
		"nil completes":                 {returning(nil), "partial", bus.Completed, "", 1},
		"an error is retried":           {returning(boom), "partial", bus.Failed, "boom", 3},
		"a panic is retried":            {panicking, "", bus.Failed, "panicked", 3},
		"terminate fails at once":       {returning(turn.Terminate(boom)), "partial", bus.Failed, "boom", 1},
		"retry after counts":            {returning(turn.RetryAfter(time.Hour, boom)), "partial", bus.Failed, "boom", 3},
		"a failed input fails":          {returning(ended(bus.Failed)), "partial", bus.Failed, "up", 1},
		"a cancelled input is followed": {returning(ended(bus.Cancelled)), "partial", bus.Cancelled, "up", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				broker := membus.NewBroker(membus.Config{})
				runs := 0
				start(t, broker, turn.Config{MaxAttempts: 3}, func(ctx context.Context, a *turn.Attempt) error {
					if a.Record.ID == "t1" {
						runs++
					}

					return c.handle(ctx, a)
				})

				u := newUser(t, broker)
				u.post("t1", "hello")
				u.post("t2", "after it")

				text, end := u.answer("t1")
				got := stream.End{State: bus.Completed}

				if end != nil {
					got = end.End
				}

				if text != c.text || got.State != c.state || !strings.Contains(got.Reason, c.reason) {
					t.Errorf("answer %q, %s %q; want %q, %s %q", text, got.State, got.Reason, c.text, c.state, c.reason)
				}

				if runs != c.runs {
					t.Errorf("the handler ran %d times, want %d", runs, c.runs)
				}

				u.answer("t2") // the session goes on
			})
		})
	}
}

func TestTheTurnOfACrashedInstanceRunsElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		half := make(chan struct{})
		zombie := make(chan error, 1)
		awake := make(chan struct{})

		first := start(t, broker, turn.Config{}, func(ctx context.Context, a *turn.Attempt) error {
			if err := errors.Join(a.Output.Send(ctx, []byte("dead ")), a.Output.Flush(ctx)); err != nil {
				return err
			}

			close(half)
			<-awake // paused, and declared dead meanwhile

			ctx = context.WithoutCancel(ctx) // it was told to stop, and doesn't care
			zombie <- errors.Join(a.Output.Send(ctx, []byte("words")), a.Output.Flush(ctx))

			return nil
		})

		u := newUser(t, broker)
		u.post("t1", "hello")
		<-half
		first.bus.Lapse()

		begin := time.Now()
		start(t, broker, turn.Config{}, echo)

		if text, end := u.answer("t1"); text != "hello" || end != nil {
			t.Errorf("answer = %q, %v", text, end)
		}

		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("the turn ran elsewhere after %v, want at most 2 s", took)
		}

		close(awake)

		if err := <-zombie; !errors.Is(err, stream.ErrFenced) {
			t.Errorf("the dead instance's append: %v, want ErrFenced", err)
		}
	})
}

func TestASupersededInputRestartsTheTurn(t *testing.T) {
	t.Parallel()
	t.Run("restart", func(t *testing.T) { t.Parallel(); supersededInput(t, stream.Restart) })
	t.Run("resume", func(t *testing.T) { t.Parallel(); supersededInput(t, stream.Resume) })
	t.Run("fail", func(t *testing.T) { t.Parallel(); supersededInput(t, stream.Fail) })
}

func supersededInput(t *testing.T, policy stream.Policy) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		consumed := make(chan struct{}, 2)

		start(t, broker, turn.Config{Policy: policy}, func(ctx context.Context, a *turn.Attempt) error {
			for chunk, err := range a.Input.Chunks(ctx) {
				if err != nil {
					return err
				}

				if err := a.Output.Send(ctx, chunk.Data); err != nil {
					return err
				}

				consumed <- struct{}{}
			}

			return nil
		})

		u := newUser(t, broker)
		first := u.input("t1")

		if err := errors.Join(first.Send(t.Context(), []byte("draft")), first.Flush(t.Context())); err != nil {
			t.Fatal(err)
		}

		u.letter("t1")
		<-consumed
		first.Abandon()

		second := u.input("t1")
		if err := errors.Join(second.Send(t.Context(), []byte("final")), second.Close(t.Context())); err != nil {
			t.Fatal(err)
		}

		if text, end := u.answer("t1"); text != "final" || end != nil {
			t.Errorf("answer = %q, %v", text, end)
		}
	})
}

func TestOutputsReachTheNextComponentWhileTheyAreWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		seen := make(chan string)

		start(t, broker, turn.Config{To: []string{"next"}}, func(ctx context.Context, a *turn.Attempt) error {
			for _, word := range []string{"one", "two"} {
				if err := a.Output.Send(ctx, []byte(word)); err != nil {
					return err
				}

				if got := <-seen; got != word { // the next component has it before the turn is done
					t.Errorf("the next component read %q, want %q", got, word)
				}
			}

			branch, err := a.OpenOutput(ctx, "side")
			if err != nil {
				return err
			}

			return branch.Send(ctx, []byte("aside"))
		})
		start(t, broker, turn.Config{Component: "next"}, func(ctx context.Context, a *turn.Attempt) error {
			for chunk, err := range a.Input.Chunks(ctx) {
				if err != nil {
					return err
				}
				seen <- string(chunk.Data)
			}

			return nil
		})

		side := make(chan string, 1)

		start(t, broker, turn.Config{Component: "side"}, func(ctx context.Context, a *turn.Attempt) error {
			data, err := a.Input.ReadAll(ctx)
			side <- string(data)

			return err
		})

		u := newUser(t, broker)
		u.post("t1", "go")

		if text := <-side; text != "aside" {
			t.Errorf("the branch carried %q", text)
		}

		if text, end := u.read(subjects.Derive("t1", component, "t1", "next")); text != "onetwo" || end != nil {
			t.Errorf("output = %q, %v", text, end)
		}
	})
}

func TestDrainLetsTurnsFinishAndThenHandsThemOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		began := make(chan struct{})

		var cause error

		leaving := start(t, broker, turn.Config{Drain: 3 * time.Second}, func(ctx context.Context, _ *turn.Attempt) error {
			close(began)
			<-ctx.Done()

			cause = context.Cause(ctx)

			return ctx.Err()
		})

		u := newUser(t, broker)
		u.post("t1", "hello")
		<-began

		begin := time.Now()
		leaving.stop()

		if took := time.Since(begin); took < 3*time.Second || took > 4*time.Second {
			t.Errorf("drained in %v, want 3 s", took)
		}

		if cause == nil || errors.Is(cause, context.Canceled) {
			t.Errorf("the handler's context ended with %v, want the drain as its cause", cause)
		}

		begin = time.Now()
		start(t, broker, turn.Config{}, echo)

		if text, _ := u.answer("t1"); text != "hello" {
			t.Errorf("answer = %q", text)
		}

		if took := time.Since(begin); took > 100*time.Millisecond {
			t.Errorf("handed over in %v: the lease was waited for", took)
		}
	})
}

func TestALetterPostedTwiceIsOneTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		runs := 0
		start(t, broker, turn.Config{}, func(ctx context.Context, a *turn.Attempt) error {
			runs++

			return echo(ctx, a)
		})

		u := newUser(t, broker)
		u.post("t1", "hello")
		u.answer("t1")
		u.letter("t1")
		u.post("t2", "again")
		u.answer("t2")

		if runs != 2 {
			t.Errorf("the handler ran %d times, want 2", runs)
		}
	})
}

func TestALetterThatLiesAboutItsMailboxIsDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		start(t, broker, turn.Config{}, echo)

		u := newUser(t, broker)

		for _, body := range []string{"", "{", `{"v":1,"id":"t0","session":"other","component":"echo","root":"t0"}`, `{"v":99}`} {
			l := &bus.Letter{ID: "t0", Component: component, Session: sessionID, Body: []byte(body)}
			if err := u.bus.Post(t.Context(), l); err != nil {
				t.Fatal(err)
			}
		}

		u.post("t1", "hello")

		if text, _ := u.answer("t1"); text != "hello" {
			t.Errorf("answer = %q", text)
		}

		r, err := u.store.OpenReader(t.Context(), bus.StreamID{Session: "other", Stream: outputID("t0", component)}, bus.Cursor{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()

		if ev, err := r.Next(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) {
			t.Errorf("another session's stream was written: %+v, %v", ev, err)
		}
	})
}
