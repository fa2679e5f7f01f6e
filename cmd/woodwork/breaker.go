package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"time"

	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/registry"
	"github.com/woodwork-go/woodwork/subjects"
)

// breakerCommand looks at circuit breakers and decides about them. Its word is the name of some.
type breakerCommand struct {
	inquiry

	say registry.Override
}

var (
	errBreakerAction = errors.New("name an action: woodwork breaker ls, open, close or auto")
	errOneTarget     = errors.New("give one target, such as openai/gpt-4o; woodwork breaker ls lists those that are known")
	errFor           = errors.New("use whole seconds, at least 1s")
	errOutcome       = errors.New("it is not known whether this was stored; run the command again, which does no harm")
)

func circuitBreakers(ctx context.Context, s streams, args []string) error {
	c := &breakerCommand{inquiry: newInquiry(s, "breaker", errBreakerAction)}

	return c.dispatch(ctx, args, []action{
		{"ls", "list the circuit breakers of all instances, and what operators say about them", c.listFlags, c.checkList, c.list},
		{"open", "TARGET: refuse all calls", c.forceFlags, c.check(breaker.ForceOpen), c.decide},
		{"close", "TARGET: let all calls through", c.forceFlags, c.check(breaker.ForceClosed), c.decide},
		{"auto", "TARGET: leave it to how calls end, again", c.componentFlag, c.check(breaker.Auto), c.decide},
	})
}

func (c *breakerCommand) componentFlag(fs *flag.FlagSet) {
	fs.StringVar(&c.say.Component, "component", "", "only in instances of this `component`")
}

func (c *breakerCommand) listFlags(fs *flag.FlagSet) {
	c.componentFlag(fs)
	c.jsonFlag(fs)
}

func (c *breakerCommand) forceFlags(fs *flag.FlagSet) {
	c.componentFlag(fs)
	fs.Func("for", "`how long`, such as 10m (default: until woodwork breaker auto)", c.setFor)
	fs.StringVar(&c.say.Reason, "reason", "", "`why`, for everybody who meets the breaker")
}

// setFor reads how long an override holds.
func (c *breakerCommand) setFor(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second || d%time.Second != 0 {
		return errFor
	}

	c.say.TTL = int(d / time.Second)

	return nil
}

func (c *breakerCommand) checkList() error {
	if c.say.Component != "" {
		if err := subjects.CheckID("component", c.say.Component); err != nil {
			return err
		}
	}

	return c.noWord()
}

// check returns what checks the word and the flags of an action that sets a mode.
func (c *breakerCommand) check(m breaker.Mode) func() error {
	return func() error {
		if len(c.words) != 1 {
			return errOneTarget
		}

		c.say.Target, c.say.Mode = c.words[0], m

		return c.say.Check()
	}
}

// decide stores what was said, and says how many instances it is about now.
func (c *breakerCommand) decide(ctx context.Context) error {
	r, err := c.client.Registry(ctx)
	if err != nil {
		return err
	}

	if err := c.store(ctx, r); err != nil {
		return err
	}

	have := 0

	for _, i := range r.Find(registry.Query{Component: c.say.Component}) {
		if slices.ContainsFunc(i.Breakers, func(s breaker.Status) bool { return s.Name == c.say.Target }) {
			have++
		}
	}

	return printDecision(c.out, &c.say, have)
}

// storeTimeout is how long a decision is tried to be stored.
const storeTimeout = 10 * time.Second

func (c *breakerCommand) store(ctx context.Context, r *registry.Registry) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()

	err := r.Override(ctx, c.say)
	if errors.Is(err, bus.ErrUnknown) {
		return fmt.Errorf("%w: %w", errOutcome, err)
	}

	return err
}

// held is a circuit breaker and who has it.
type held struct {
	breaker.Status

	Component string `json:"component"`
	Instance  string `json:"instance"`
}

func (c *breakerCommand) list(ctx context.Context) error {
	r, err := c.client.Registry(ctx)
	if err != nil {
		return err
	}

	var all []held

	for _, i := range r.Find(registry.Query{Component: c.say.Component}) {
		for _, s := range i.Breakers {
			all = append(all, held{s, i.Component, i.ID})
		}
	}

	said := c.said(ctx, r)
	if !c.json {
		return errors.Join(printBreakerTable(c.out, all), printOverrideTable(c.out, said))
	}

	for _, h := range all {
		if err := c.printJSON(h); err != nil {
			return err
		}
	}

	for _, o := range said {
		if err := c.printJSON(struct {
			Override registry.Override `json:"override"`
		}{o}); err != nil {
			return err
		}
	}

	return nil
}

// said returns what operators say, for the component where one was given.
func (c *breakerCommand) said(ctx context.Context, r *registry.Registry) []registry.Override {
	for all := range r.Overrides(ctx) {
		return slices.DeleteFunc(all, func(o registry.Override) bool {
			return c.say.Component != "" && o.Component != "" && o.Component != c.say.Component
		})
	}

	return nil
}
