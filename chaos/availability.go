package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/chaos/load"
	"github.com/woodwork-go/woodwork/chaos/plan"
	"github.com/woodwork-go/woodwork/chaos/provider"
	"github.com/woodwork-go/woodwork/chaos/system"
	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/dial"
	"github.com/woodwork-go/woodwork/services/llm/provider/providertest"
)

const (
	// primary and fallback are the providers, by the names with which their answers begin.
	primary  = "primary"
	fallback = "fallback"

	// wantAvailable is the share of turns that must succeed.
	wantAvailable = 0.999
	// patience is how long a turn may take to succeed, from its first post to the end of its answer on the user's screen.
	patience = 30 * time.Second
	// leastRate is how many turns a second there must be for the share to say something.
	leastRate = 10
)

var (
	errUnavailable = errors.New("too few turns succeeded")
	errFewTurns    = errors.New("too few turns were posted to tell")
)

// outage is a run in which the first language model's provider is down half of the time and instances are killed.
type outage struct {
	*runner

	killGap, spell    time.Duration
	least             int // turns that there must be
	primary, fallback *provider.Server
	turns             *tally
	openings          *openings
}

// runAvailability builds what it needs and shows how many turns succeed.
func runAvailability(ctx context.Context, o *options, killGap time.Duration, out io.Writer) error {
	fmt.Fprintf(out, "availability with seed %d for %v\n", o.seed, o.duration)

	return inFolder(o.keep, out, func(dir string) error {
		if err := build(ctx, dir, o.age); err != nil {
			return err
		}
		a := newOutage(newRunner(o, dir, binaries(dir), out), killGap)
		a.least = int(leastRate * o.duration.Seconds())

		return a.run(ctx)
	})
}

// spells is into how many times up and down a run is divided, at most, and maxSpell how long each is on average.
const (
	spells   = 10
	maxSpell = 8 * time.Second
)

func newOutage(r *runner, killGap time.Duration) *outage {
	return &outage{
		runner: r, killGap: killGap, spell: min(maxSpell, r.duration/spells), turns: newTally(), openings: newOpenings(),
	}
}

func (a *outage) run(ctx context.Context) error {
	var err error
	a.primary, err = provider.Start(ctx, provider.Config{Name: primary, Format: providertest.OpenAI(), Pace: a.pace})
	if err != nil {
		return err
	}
	defer a.primary.Close()
	a.fallback, err = provider.Start(ctx, provider.Config{Name: fallback, Format: providertest.Anthropic(), Pace: a.pace})
	if err != nil {
		return err
	}
	defer a.fallback.Close()
	a.system, err = system.Start(ctx, system.Config{
		Dir: a.dir, Bin: a.bin, Pace: a.pace, Tell: a.tell, LLM: a.flags(),
		Instances: map[plan.Target]int{plan.LLM: a.llms, plan.Relay: a.relays, plan.Input: edges, plan.Output: edges},
	})
	if err != nil {
		return err
	}
	defer a.system.Close()

	return a.connected(ctx)
}

// flags are those of the language models. Short bounds, so that a provider that hangs is found out, and left alone, within
// seconds.
func (a *outage) flags() []string {
	return []string{
		"-provider", "openai", "-base-url", a.primary.URL(), "-model", primary,
		"-fallback-provider", "anthropic", "-fallback-base-url", a.fallback.URL(), "-fallback-model", fallback,
		"-first-token-timeout", "2s", "-idle-timeout", "2s", "-total-timeout", "20s",
		"-breaker-failures", "3", "-breaker-recovery", "2s", "-breaker-successes", "1",
		"-registry-heartbeat", "500ms",
	}
}

// connected runs the users and reports.
func (a *outage) connected(ctx context.Context) error {
	b, err := dial.Open(ctx, a.system.Server(), dial.Config{})
	if err != nil {
		return err
	}
	defer func() { _ = b.Close(context.WithoutCancel(ctx)) }() // everything is stored
	client, err := framework.Connect(ctx, framework.Config{Bus: b})
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(context.WithoutCancel(ctx)) }()
	watching, leave := context.WithCancel(ctx)
	var watch errgroup.Group
	watch.Go(func() error { return a.openings.watch(watching, client) })
	users, err := a.drive(ctx, client, b)
	leave()
	if err := errors.Join(err, watch.Wait()); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted: %w", context.Cause(ctx))
	}

	return a.report(b.Info(), users)
}

// drive posts, kills and takes the provider away for as long as it shall, gives it back, and waits for the rest.
func (a *outage) drive(ctx context.Context, client *framework.Client, log bus.Log) (*load.Runner, error) {
	users := load.New(load.Config{
		Seed: a.seed, Rate: a.rate, Sessions: a.sessions, Turns: a.runner.turns, Window: windowTurns, Quiet: a.quiet,
		Answers: answers, Done: a.turns.add,
	}, a.system, client, log, a.recorder)
	enough, well := make(chan struct{}), make(chan struct{})
	a.begun = time.Now()
	var running errgroup.Group
	running.Go(func() error { users.Run(ctx, enough, well); return nil })
	running.Go(func() error {
		defer close(well)

		return a.upAndDown(ctx)
	})
	a.injectAll(ctx, users, kills(a.seed, a.duration, a.killGap))
	close(enough)

	return users, running.Wait()
}

// answers are what the providers answer to a prompt.
func answers(_ context.Context, prompt string) ([][]string, error) {
	return [][]string{provider.Answer(primary, prompt), provider.Answer(fallback, prompt)}, nil
}

// upAndDown takes the first provider down as planned and leaves it up.
func (a *outage) upAndDown(ctx context.Context) error {
	for _, s := range provider.Spells(a.seed, a.duration, a.spell) {
		if !until(ctx, a.begun.Add(s.From)) {
			break
		}
		a.tell("provider down: " + string(s.Mode))
		if err := a.primary.Set(ctx, s.Mode); err != nil {
			return err
		}
		until(ctx, a.begun.Add(s.To))
		a.tell("provider up")
		if err := a.primary.Set(ctx, provider.Up); err != nil {
			return err
		}
		a.recorder.Fault(primary, a.begun.Add(s.From), a.begun.Add(s.To))
		a.turns.wasDown(s)
	}

	return nil
}

// kills draws up which instance is killed when: one each gap.
func kills(seed uint64, length, gap time.Duration) []plan.Fault {
	const (
		stream      = 3 // of random numbers; others of the seed belong to others
		instances   = 1 << 16
		least, span = 200 * time.Millisecond, 500 * time.Millisecond
	)
	random := rand.New(rand.NewPCG(seed, stream))
	targets := []plan.Target{plan.LLM, plan.LLM, plan.Input, plan.Output}
	var faults []plan.Fault
	for at := gap / 2; at < length; at += gap {
		faults = append(faults, plan.Fault{
			At: at, Kind: plan.Kill, Target: targets[random.IntN(len(targets))], Pick: random.IntN(instances),
			For: least + time.Duration(random.Int64N(int64(span))),
		})
	}

	return faults
}

// gave returns who gave a whole answer, as a reader of the relay sees it; "" when it isn't one.
func gave(turn *check.Turn, chunks []string) string {
	want := turn.Answers[string(plan.Relay)]
	if !want.Whole(chunks) {
		return ""
	}
	for _, name := range []string{primary, fallback} {
		if strings.HasPrefix(chunks[0], strings.ToUpper(name)) {
			return name
		}
	}

	return ""
}
