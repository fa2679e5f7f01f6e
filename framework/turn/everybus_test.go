package turn_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/affinity"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
	"github.com/woodwork-go/woodwork/framework/bus/redisbus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/framework/turn"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

// fault is what becomes of one execution of a turn.
type fault int

const (
	fails  fault = iota // it returns an error, after some text
	panics              // it panics, after some text
)

// plan is what happens to a turn before it is done: its faults, one for each execution, then an end.
type plan struct {
	Faults []fault
	Final  bool // it ends by Terminate instead of with its text
}

func drawPlan(t *rapid.T) plan {
	return plan{
		Faults: rapid.SliceOfN(rapid.SampledFrom([]fault{fails, panics}), 0, 3).Draw(t, "faults"),
		Final:  rapid.Bool().Draw(t, "final"),
	}
}

// everyBus returns how to connect to a broker of each kind.
func everyBus(t *testing.T) map[string]func() (bus.Bus, error) {
	t.Helper()

	memory := membus.NewBroker(membus.Config{})
	server := embeddedtest.RunInProcess(t)
	redis := redistest.Run(t, redistest.Options{Fsync: redistest.EverySecond}).URL()

	return map[string]func() (bus.Bus, error){
		"memory":    func() (bus.Bus, error) { return memory.Open(), nil },
		"jetstream": func() (bus.Bus, error) { return natsbus.Open(t.Context(), natsbus.Config{InProcess: server}) },
		"redis":     func() (bus.Bus, error) { return redisbus.Open(t.Context(), redisbus.Config{URL: redis}) },
	}
}

// TestTurnsOnEveryBus posts turns that go wrong in drawn ways, in several sessions, to two instances. On every bus each
// turn ends as its plan says, with one execution's text, in order and one at a time within its session.
func TestTurnsOnEveryBus(t *testing.T) {
	t.Parallel()

	for name, open := range everyBus(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			const cases = 4

			gen := rapid.Custom(func(t *rapid.T) [][]plan {
				return rapid.SliceOfN(rapid.SliceOfN(rapid.Custom(drawPlan), 1, 4), 1, 4).Draw(t, "sessions")
			})
			for i := range cases {
				c := newCourse(fmt.Sprint("c", i), gen.Example(i))
				c.affinity = i%2 == 1

				if err := c.run(t, open); err != nil {
					t.Errorf("case %d, affinity %v, %+v: %v", i, c.affinity, c.plans, err)
				}
			}
		})
	}
}

// patience is how long a turn may take on a machine that is busy with others.
const patience = time.Minute

// course is one case.
type course struct {
	name     string
	plans    [][]plan // by session, then turn
	affinity bool     // sessions prefer the instance that served them last

	mu    sync.Mutex
	tries map[string]int      // executions begun, by turn
	seen  map[string][]string // turns whose execution began, in order and without repetitions, by session
	busy  map[string]string   // the turn that is executed, by session
	wrong []error
}

func newCourse(name string, plans [][]plan) *course {
	return &course{
		name: name, plans: plans, tries: map[string]int{}, seen: map[string][]string{}, busy: map[string]string{},
	}
}

func (c *course) session(i int) string { return fmt.Sprint(c.name, "-s", i) }

func (c *course) turn(i, j int) string { return fmt.Sprint(c.name, "-s", i, "-t", j) }

// run works on the case with two instances and returns what was not as it must be.
func (c *course) run(t *testing.T, open func() (bus.Bus, error)) error {
	t.Helper()

	instances := make([]*participant, 3)

	for i := range instances {
		p, err := join(open)
		if err != nil {
			return err
		}
		t.Cleanup(func() { p.leave(t) })

		instances[i] = p
	}

	ctx, stop := context.WithCancel(t.Context())
	defer stop()

	var working errgroup.Group

	for i, p := range instances[1:] {
		var box turn.Box = p.bus
		if c.affinity {
			box = affinity.New(p.bus, affinity.Config{Instance: fmt.Sprint(c.name, "-", i)})
		}

		cfg := turn.Config{
			Component: c.name, Backoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond, Drain: -1,
			Lease: patience, // nobody is to be taken for dead because the machine is busy
		}
		working.Go(func() error { return turn.NewWorker(box, p.store, cfg).Run(ctx, c.handle) })
	}

	user, err := instances[0], error(nil)
	for i := range c.plans {
		for j := range c.plans[i] {
			err = errors.Join(err, user.post(ctx, c.name, c.session(i), c.turn(i, j)))
		}
	}

	for i := range c.plans {
		for j := range c.plans[i] {
			err = errors.Join(err, c.answered(ctx, user, i, j))
		}
	}

	stop()

	return errors.Join(err, working.Wait(), c.inOrder())
}

// handle executes a turn as its plan says.
func (c *course) handle(ctx context.Context, a *turn.Attempt) error {
	p, try := c.begin(a)
	defer c.end(a)

	if err := a.Output.Send(ctx, fmt.Appendf(nil, "%s, try %d", a.Record.ID, try)); err != nil {
		return err
	}

	switch {
	case try < len(p.Faults) && p.Faults[try] == panics:
		panic("as planned")
	case try < len(p.Faults):
		return errors.New("as planned")
	case p.Final:
		return turn.Terminate(errors.New("planned to end"))
	default:
		return nil
	}
}

func (c *course) begin(a *turn.Attempt) (plan, int) {
	c.mu.Lock()
	defer c.mu.Unlock()

	id, session := a.Record.ID, a.Record.Session
	if other := c.busy[session]; other != "" {
		c.wrong = append(c.wrong, fmt.Errorf("%s runs beside %s", id, other))
	}

	c.busy[session] = id

	if n := len(c.seen[session]); n == 0 || c.seen[session][n-1] != id {
		c.seen[session] = append(c.seen[session], id)
	}

	try := c.tries[id]
	c.tries[id]++

	for i := range c.plans {
		for j := range c.plans[i] {
			if c.turn(i, j) == id {
				return c.plans[i][j], try
			}
		}
	}

	c.wrong = append(c.wrong, fmt.Errorf("nobody posted %s", id))

	return plan{}, try
}

func (c *course) end(a *turn.Attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.busy[a.Record.Session] = ""
}

// answered compares what a reader sees of a turn with its plan.
func (c *course) answered(ctx context.Context, user *participant, i, j int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("the turn does not end"))
	defer cancel()

	p, id := c.plans[i][j], c.turn(i, j)

	r, err := user.store.OpenReader(ctx, bus.StreamID{Session: c.session(i), Stream: outputID(id, c.name)}, bus.Cursor{})
	if err != nil {
		return err
	}
	defer r.Close()

	text, err := r.ReadAll(ctx)
	want := fmt.Sprintf("%s, try %d", id, len(p.Faults))

	var failed *stream.EndError

	switch {
	case string(text) != want:
		return fmt.Errorf("%s ends with %q, want %q (%w)", id, text, want, err)
	case p.Final && !errors.As(err, &failed), !p.Final && err != nil:
		return fmt.Errorf("%s ends with the error %w", id, err)
	}

	return nil
}

// inOrder says where turns did not run in the order they were posted.
func (c *course) inOrder() error {
	c.mu.Lock()
	defer c.mu.Unlock()

	err := errors.Join(c.wrong...)

	for i := range c.plans {
		var want []string
		for j := range c.plans[i] {
			want = append(want, c.turn(i, j))
		}

		if diff := cmp.Diff(want, c.seen[c.session(i)]); diff != "" {
			err = errors.Join(err, fmt.Errorf("session %d (-posted +executed):\n%s", i, diff))
		}
	}

	return err
}

// participant is a process: a connection and its streams.
type participant struct {
	bus   bus.Bus
	store *stream.Store
}

func join(open func() (bus.Bus, error)) (*participant, error) {
	b, err := open()
	if err != nil {
		return nil, err
	}

	return &participant{b, stream.NewStore(b, b.Info(), stream.Config{})}, nil
}

func (p *participant) leave(t *testing.T) {
	t.Helper()
	p.store.Close()

	if err := p.bus.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

// post posts a turn whose input is its id.
func (p *participant) post(ctx context.Context, component, session, id string) error {
	w, err := p.store.OpenWriter(ctx, stream.WriterConfig{
		Session: session, Info: stream.Info{Stream: id, Component: "input", Target: component, Turn: id, Root: id},
	})
	if err != nil {
		return err
	}

	if err := w.CloseWith(ctx, []byte(id)); err != nil {
		return err
	}

	return turn.Post(ctx, p.bus, turn.Record{ID: id, Session: session, Component: component, Root: id}, nil)
}
