package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/woodwork-go/woodwork/internal/redisproc"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := mainErr(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// errFlags: the flags don't make a run.
var errFlags = errors.New("no such run")

func mainErr(ctx context.Context, args []string) error {
	var (
		o                      options
		demo, order, available bool
		killGap                time.Duration
	)
	fs := flag.NewFlagSet("chaos", flag.ContinueOnError)
	fs.BoolVar(&demo, "demo", false, "show one answer that survives the death of its worker")
	fs.BoolVar(&order, "order", false, "show the order of many sessions over 8 instances, and what a turn costs")
	fs.BoolVar(&available, "availability", false, "show how many turns succeed while a provider is down half of the time")
	fs.DurationVar(&killGap, "kill-gap", 10*time.Second, "time between the kills of -availability")
	fs.DurationVar(&o.duration, "duration", 45*time.Second, "how long turns are posted and faults injected")
	fs.DurationVar(&o.gap, "gap", 900*time.Millisecond, "mean time between faults")
	fs.Uint64Var(&o.seed, "seed", 0, "what decides faults and prompts; 0 draws one")
	fs.StringVar(&o.bus, "bus", nats, "broker to run on: nats or redis")
	fs.StringVar(&o.fsync, "fsync", "always", "when Redis syncs its log to the disk: always or everysec")
	fs.Float64Var(&o.rate, "rate", 25, "turns posted per second")
	fs.IntVar(&o.sessions, "sessions", 60, "sessions at once")
	fs.IntVar(&o.turns, "turns", 20, "turns of a session")
	fs.IntVar(&o.llms, "llms", 3, "instances of llm")
	fs.IntVar(&o.relays, "relays", 3, "instances of the relay")
	fs.DurationVar(&o.pace, "pace", 10*time.Millisecond, "wait of the model before each word")
	fs.DurationVar(&o.quiet, "quiet", 45*time.Second, "silence after which a turn counts as stuck")
	fs.Float64Var(&o.hooks, "hooks", 0.04, "share of prompts that make the relay misbehave")
	fs.BoolVar(&o.lasting, "lasting", true, "some of those prompts hold up their session until all attempts or the time are used up")
	fs.StringVar(&o.hook, "hook", "", "the only `way` in which they make it misbehave, such as crash, instead of all")
	fs.IntVar(&o.lifelong, "lifelong", 4, "sessions that live through the whole run, with cancels and old cursors")
	fs.DurationVar(&o.age, "age", 0, "how long the bus keeps what is stored; 0: for longer than the run")
	fs.BoolVar(&o.keep, "keep", false, "keep the folder of the run")
	fs.BoolVar(&o.verbose, "v", false, "tell of each fault")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if err := o.chooseServer(); err != nil {
		return err
	}
	if (demo || order || available) && o.bus != nats {
		return fmt.Errorf("-bus %s: %w: -demo, -order and -availability are on nats", o.bus, errFlags)
	}
	if demo {
		return runDemo(ctx, os.Stdout)
	}
	if order {
		return runOrder(ctx, os.Stdout)
	}
	if o.seed == 0 {
		o.seed = uint64(rand.Uint32())
	}

	if available {
		return runAvailability(ctx, &o, killGap, os.Stdout)
	}

	return run(ctx, &o, os.Stdout)
}

// nats is the broker unless another one is asked for.
const nats = "nats"

// chooseServer finds out which server is run.
func (o *options) chooseServer() error {
	switch {
	case o.bus == nats:
		return nil
	case o.bus != "redis":
		return fmt.Errorf("-bus %s: %w: write nats or redis", o.bus, errFlags)
	}
	switch o.redis = redisproc.Fsync(o.fsync); o.redis {
	case redisproc.Always, redisproc.EverySecond:
		return nil
	case redisproc.NoLog:
	}

	return fmt.Errorf("-fsync %q: %w: write always or everysec", o.fsync, errFlags)
}
