package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"

	"github.com/woodwork-go/woodwork/framework/registry"
	"github.com/woodwork-go/woodwork/subjects"
)

// componentCommand looks at the instances that are there.
type componentCommand struct {
	inquiry

	query registry.Query
	state string
}

var (
	errComponentAction = errors.New("name an action: woodwork component ls or info")
	errOneInstance     = errors.New("give one component, instance, or component/instance; woodwork component ls lists them")
	errNoInstance      = errors.New("no such component or instance is running; woodwork component ls lists those that are")
	errInstanceState   = errors.New("use initializing, ready, draining or failed")
)

func component(ctx context.Context, s streams, args []string) error {
	c := &componentCommand{inquiry: newInquiry(s, "component", errComponentAction)}

	return c.dispatch(ctx, args, []action{
		{"ls", "list the instances that are there, and how they do", c.listFlags, c.checkList, c.list},
		{"info", "NAME: say all about a component's instances, or one", c.jsonFlag, c.oneName, c.info},
	})
}

func (c *componentCommand) listFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.query.Component, "component", "", "only instances of this `component`")
	fs.StringVar(&c.query.Type, "type", "", "only components of this `type`")
	fs.StringVar(&c.query.Capability, "capability", "", "only instances that have this `capability`")
	fs.StringVar(&c.state, "state", "", "only instances in this `state`: initializing, ready, draining, failed")
	c.jsonFlag(fs)
}

func (c *componentCommand) checkList() error {
	c.query.State = registry.State(c.state)

	known := []registry.State{"", registry.Initializing, registry.Ready, registry.Draining, registry.Failed}
	if !slices.Contains(known, c.query.State) {
		return fmt.Errorf("-state %q: %w", c.state, errInstanceState)
	}

	if c.query.Component != "" {
		if err := subjects.CheckID("component", c.query.Component); err != nil {
			return err
		}
	}

	return c.noWord()
}

func (c *componentCommand) oneName() error {
	if len(c.words) != 1 {
		return errOneInstance
	}

	return nil
}

func (c *componentCommand) list(ctx context.Context) error {
	found, err := c.find(ctx)
	if err != nil {
		return err
	}

	if c.json {
		return c.printInstances(found)
	}

	return printInstanceTable(c.out, found)
}

func (c *componentCommand) info(ctx context.Context) error {
	found, err := c.find(ctx)
	if err != nil {
		return err
	}

	name := c.words[0]

	found = slices.DeleteFunc(found, func(i registry.Instance) bool {
		return name != i.Component && name != i.ID && name != i.String()
	})
	if len(found) == 0 {
		return fmt.Errorf("%s: %w", name, errNoInstance)
	}

	if c.json {
		return c.printInstances(found)
	}

	for n := range found {
		if n > 0 {
			fmt.Fprintln(c.out)
		}

		if err := printInstance(c.out, &found[n]); err != nil {
			return err
		}
	}

	return nil
}

// find returns the instances that the flags select, ordered by component and id.
func (c *componentCommand) find(ctx context.Context) ([]registry.Instance, error) {
	r, err := c.client.Registry(ctx)
	if err != nil {
		return nil, err
	}

	return r.Find(c.query), nil
}

func (c *componentCommand) printInstances(list []registry.Instance) error {
	for _, i := range list {
		if err := c.printJSON(i); err != nil {
			return err
		}
	}

	return nil
}
