package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/session"
	"github.com/woodwork-go/woodwork/subjects"
)

// sessionCommand looks after sessions. Its word is the id of one.
type sessionCommand struct {
	inquiry

	filter session.Filter
	state  string
	older  time.Duration
	reason string
}

var (
	errSessionAction = errors.New("name an action: woodwork session ls, info or end")
	errOneSession    = errors.New("give the id of one session; woodwork session ls lists them")
	errNoSession     = errors.New("no such session, or it has expired; woodwork session ls lists those that are there")
	errSessionState  = errors.New("use active or ended")
	errOlder         = errors.New("use a positive duration, such as 30m")
)

func sessions(ctx context.Context, s streams, args []string) error {
	c := &sessionCommand{inquiry: newInquiry(s, "session", errSessionAction)}

	return c.dispatch(ctx, args, []action{
		{"ls", "list the sessions that are there", c.listFlags, c.checkList, c.list},
		{"info", "ID: say all about one", c.jsonFlag, c.oneID, c.info},
		{"end", "ID: cancel its turns and delete its state", c.endFlags, c.oneID, c.end},
	})
}

func (c *sessionCommand) listFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.state, "state", "", "only sessions in this `state`: active, ended")
	fs.StringVar(&c.filter.Component, "component", "", "only sessions that this `component` takes part in")
	fs.DurationVar(&c.older, "older-than", 0, "only sessions that began longer ago than this")
	c.jsonFlag(fs)
}

func (c *sessionCommand) endFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.reason, "reason", "the session was ended", "what the readers of its streams are told")
}

func (c *sessionCommand) checkList() error {
	c.filter.State = session.State(c.state)

	if !slices.Contains([]session.State{"", session.Active, session.Ended}, c.filter.State) {
		return fmt.Errorf("-state %q: %w", c.state, errSessionState)
	}

	if c.filter.Component != "" {
		if err := subjects.CheckID("component", c.filter.Component); err != nil {
			return err
		}
	}

	switch {
	case c.older < 0:
		return fmt.Errorf("-older-than %v: %w", c.older, errOlder)
	case c.older > 0:
		c.filter.Before = time.Now().Add(-c.older)
	}

	return errors.Join(c.checkTenant(), c.noWord())
}

func (c *sessionCommand) oneID() error {
	if len(c.words) != 1 {
		return errOneSession
	}

	return errors.Join(c.checkTenant(), subjects.CheckID("session", c.words[0]))
}

func (c *sessionCommand) checkTenant() error {
	if tenant := c.o.Config.Tenant; tenant != "" {
		return subjects.CheckTenant(tenant)
	}

	return nil
}

func (c *sessionCommand) list(ctx context.Context) error {
	var found []session.Session

	for s, err := range c.client.Sessions().List(ctx, c.filter) {
		if err != nil {
			return err
		}

		found = append(found, s)
	}

	slices.SortFunc(found, func(a, b session.Session) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.ID, b.ID))
	})

	if !c.json {
		return printSessionTable(c.out, found)
	}

	for _, s := range found {
		if err := c.printJSON(newSessionView(s)); err != nil {
			return err
		}
	}

	return nil
}

func (c *sessionCommand) info(ctx context.Context) error {
	s, err := c.client.Sessions().Get(ctx, c.words[0])
	if err != nil {
		return c.explain(err)
	}

	if c.json {
		return c.printJSON(newSessionView(s))
	}

	return printSession(c.out, s)
}

func (c *sessionCommand) end(ctx context.Context) error {
	if err := c.client.Sessions().End(ctx, c.words[0], c.reason); err != nil {
		return c.explain(err)
	}

	_, err := fmt.Fprintf(c.out, "ended session %s\n", c.words[0])

	return err
}

// explain says what to do about a session that is not there.
func (c *sessionCommand) explain(err error) error {
	if errors.Is(err, bus.ErrNotFound) {
		return fmt.Errorf("%s: %w", c.words[0], errNoSession)
	}

	return err
}
