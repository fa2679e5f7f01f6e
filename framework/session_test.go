package framework_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
)

// remembering is a component that takes a while for each turn and adds it to what it remembers. It returns how often each
// turn was executed, and what was remembered before, after the component has ended.
type remembering struct {
	broker *membus.Broker
	cfg    framework.Config
	takes  time.Duration
	runs   map[string]int
	before map[string]int
}

// during runs the component while f does what a user does.
func (r *remembering) during(t *testing.T, f func()) {
	t.Helper()

	r.runs, r.before = map[string]int{}, map[string]int{}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)

	cfg := r.cfg
	cfg.Bus = r.broker.Open()

	go func() {
		ended <- framework.Run(ctx, framework.Service{
			Name: "llm", Handler: r.handle, MaxDuration: 10 * r.takes, Idle: 10 * r.takes,
		}, cfg)
	}()

	f()
	stop()

	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func (r *remembering) handle(ctx context.Context, turn *framework.Turn) error {
	r.runs[turn.ID]++ // turns of one session run one after another

	var history []string
	if err := turn.Session.Load(ctx, &history); err != nil {
		return err
	}

	r.before[turn.ID] = len(history)

	<-time.After(r.takes) // the model answers

	if err := turn.Output.Send(ctx, []byte("answer")); err != nil {
		return err
	}

	return turn.Session.Save(ctx, append(history, turn.ID))
}

// post posts a turn through an edge of its own, as behind a load balancer.
func (r *remembering) post(t *testing.T, turn string) {
	t.Helper()

	cfg := r.cfg
	cfg.Bus = r.broker.Open()

	edge, err := framework.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = edge.Close(context.WithoutCancel(t.Context())) })

	if _, err := edge.Post(t.Context(), framework.Post{Session: "s", Component: "llm", ID: turn}, []byte("hello")); err != nil {
		t.Fatal(err)
	}
}

// want checks that turns were executed once, and what was remembered before each.
func (r *remembering) want(t *testing.T, before map[string]int) {
	t.Helper()

	for turn, want := range before {
		if r.runs[turn] != 1 || r.before[turn] != want {
			t.Errorf("%s: executed %d times, want 1; it remembered %d turns, want %d",
				turn, r.runs[turn], r.before[turn], want)
		}
	}
}

// A post that renews the session while a turn of it is under way doesn't keep that turn from saving its state.
func TestAPostMeanwhileIsNoConflict(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &remembering{broker: membus.NewBroker(membus.Config{}), takes: 10 * time.Second}
		r.during(t, func() {
			r.post(t, "t1")
			<-time.After(15 * time.Second)
			r.post(t, "t2")
			<-time.After(5 * time.Second) // t2 is being answered
			r.post(t, "t3")
			<-time.After(time.Minute)
		})
		r.want(t, map[string]int{"t1": 0, "t2": 1, "t3": 2})
	})
}

// A turn that takes longer than a session lasts finds its state as it was.
func TestATurnOutlastsItsSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &remembering{
			broker: membus.NewBroker(membus.Config{}), takes: 2 * time.Hour, cfg: framework.Config{SessionTTL: 20 * time.Minute},
		}
		r.during(t, func() {
			for _, turn := range []string{"t1", "t2", "t3"} {
				r.post(t, turn)
				<-time.After(2*time.Hour + time.Minute)
			}
		})
		r.want(t, map[string]int{"t1": 0, "t2": 1, "t3": 2})
	})
}

// A conversation goes on after lunch: its history is kept for as long as its streams.
func TestTheHistoryIsKeptAsLongAsTheStreams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &remembering{broker: membus.NewBroker(membus.Config{MaxAge: 3 * time.Hour}), takes: time.Second}
		r.during(t, func() {
			for _, turn := range []string{"t1", "t2", "t3"} {
				r.post(t, turn)
				<-time.After(2 * time.Hour)
			}
		})
		r.want(t, map[string]int{"t1": 0, "t2": 1, "t3": 2})
	})
}
