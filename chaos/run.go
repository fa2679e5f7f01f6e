package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/woodwork-go/woodwork/chaos/hook"
	"github.com/woodwork-go/woodwork/chaos/load"
	"github.com/woodwork-go/woodwork/chaos/operator"
	"github.com/woodwork-go/woodwork/chaos/plan"
	"github.com/woodwork-go/woodwork/chaos/resume"
	"github.com/woodwork-go/woodwork/chaos/system"
	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/dial"
	"github.com/woodwork-go/woodwork/internal/redisproc"
)

// options say what a run does.
type options struct {
	bus, hook, fsync       string
	redis                  redisproc.Fsync // of the redis-server; NoLog: there is a nats-server instead
	duration, gap, age     time.Duration
	pace, quiet            time.Duration
	seed                   uint64
	rate, hooks            float64
	sessions, turns        int
	llms, relays, lifelong int
	lasting, keep, verbose bool
}

// edges is how many instances of input and of output there are.
const edges = 2

// windowTurns is how many turns of a session may wait for their answers.
const windowTurns = 3

var errViolated = errors.New("a promise was broken")

// run runs the whole of it and returns [errViolated] when a promise was broken.
func run(ctx context.Context, o *options, out io.Writer) error {
	fmt.Fprintf(out, "chaos with seed %d for %v\n", o.seed, o.duration)

	return inFolder(o.keep, out, func(dir string) error {
		if err := build(ctx, dir, o.age); err != nil {
			return err
		}

		return newRunner(o, dir, binaries(dir), out).run(ctx)
	})
}

// inFolder calls f with a folder of its own. The folder is removed afterwards, unless it is to be kept or a promise
// was broken: then what explains that stays.
func inFolder(keep bool, out io.Writer, f func(dir string) error) error {
	dir, err := os.MkdirTemp("", "woodwork-chaos-")
	if err != nil {
		return err
	}
	err = f(dir)
	if !keep && !errors.Is(err, errViolated) {
		return errors.Join(err, os.RemoveAll(dir))
	}
	fmt.Fprintln(out, "what happened is kept in", dir)

	return errors.Join(err, os.RemoveAll(binaries(dir)), os.RemoveAll(filepath.Join(dir, "store")))
}

// binaries is where a run's binaries are.
func binaries(dir string) string { return filepath.Join(dir, "bin") }

func build(ctx context.Context, dir string, age time.Duration) error {
	const private = 0o700
	if err := os.Mkdir(binaries(dir), private); err != nil {
		return err
	}

	return system.Build(ctx, binaries(dir), age)
}

// runner is one run.
type runner struct {
	*options

	dir, bin string

	out      io.Writer
	recorder *resume.Recorder
	system   *system.System
	faults   []system.Injected
	skipped  int
	begun    time.Time
}

func newRunner(o *options, dir, bin string, out io.Writer) *runner {
	return &runner{options: o, dir: dir, bin: bin, out: out, recorder: resume.New()}
}

func (r *runner) run(ctx context.Context) error {
	var err error
	r.system, err = system.Start(ctx, system.Config{
		Dir: r.dir, Bin: r.bin, Pace: r.pace, Tell: r.tell, Redis: r.redis, Wiper: r.operator,
		Instances: map[plan.Target]int{plan.LLM: r.llms, plan.Relay: r.relays, plan.Input: edges, plan.Output: edges},
	})
	if err != nil {
		return err
	}
	defer r.system.Close()
	stop := r.limitAge(ctx)
	defer stop()
	b, err := dial.Open(ctx, r.system.Server(), dial.Config{})
	if err != nil {
		return err
	}
	client, err := framework.Connect(ctx, framework.Config{Bus: b})
	if err != nil {
		return errors.Join(err, b.Close(ctx))
	}
	defer func() { _ = errors.Join(client.Close(context.WithoutCancel(ctx)), b.Close(context.WithoutCancel(ctx))) }()
	users := r.drive(ctx, client, b)
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted: %w", context.Cause(ctx))
	}

	return r.report(b.Info(), users)
}

// drive posts and injects faults for as long as it shall, heals everything, and waits for the rest.
func (r *runner) drive(ctx context.Context, client *framework.Client, log bus.Log) *load.Runner {
	cfg := load.Config{
		Seed: r.seed, Rate: r.rate, Sessions: r.sessions, Turns: r.turns, Window: windowTurns, HookShare: r.hooks,
		Lifelong: r.lifelong, Age: r.age, Hooks: hook.Short(), Quiet: r.quiet, InOrder: r.redis != redisproc.NoLog,
	}
	if r.lasting {
		cfg.Hooks = hook.All()
	}
	if r.hook != "" {
		cfg.Hooks = []hook.Hook{hook.Hook(r.hook)}
	}
	users := load.New(cfg, r.system, client, log, r.recorder)
	enough, well, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	r.begun = time.Now()
	go func() {
		defer close(done)
		users.Run(ctx, enough, well)
	}()
	r.injectAll(ctx, users, plan.New(plan.Config{
		Seed: r.seed, Length: r.duration, Gap: r.gap, Letters: r.redis == redisproc.NoLog,
	}))
	close(enough)
	close(well)
	<-done

	return users
}

// operator returns who wipes what a server holds.
func (r *runner) operator(server string) system.Wiper { //nolint:ireturn // of one server or the other
	if r.redis != redisproc.NoLog {
		return &operator.Redis{Addr: server}
	}

	return &operator.NATS{Addr: server}
}

// limitAge limits the age of what is stored, where that is the operator's to do, until the function that it returns is
// called.
func (r *runner) limitAge(ctx context.Context) (stop func()) {
	o, ok := r.operator(r.system.ServerAddress()).(*operator.NATS)
	if !ok || r.age == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.Keep(ctx, r.age)
	}()

	return func() {
		cancel()
		<-done
	}
}

// tell prints what happens, if that is wanted.
func (r *runner) tell(text string) {
	if r.verbose {
		fmt.Fprintf(r.out, "%7.2fs  %s\n", time.Since(r.begun).Seconds(), text)
	}
}
