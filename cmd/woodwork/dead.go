package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
)

// deadCommand looks after turns that were set aside. Its words are their ids.
type deadCommand struct {
	inquiry

	component, session string
	input, all         bool
}

var (
	errDeadAction = errors.New("name an action: woodwork dead ls, show, replay or drop")
	errOneID      = errors.New("give the id of one turn; woodwork dead ls lists them")
	errOneOrAll   = errors.New("give the id of one turn, or -all; woodwork dead ls lists them")
	errNoDead     = errors.New("no such dead letter; woodwork dead ls lists them")
	errManyDead   = errors.New("several turns have this id; add -session or -component")
)

func dead(ctx context.Context, s streams, args []string) error {
	d := &deadCommand{inquiry: newInquiry(s, "dead", errDeadAction)}

	return d.dispatch(ctx, args, []action{
		{"ls", "list the turns that were set aside", d.listFlags, d.noWord, d.list},
		{"show", "ID: say all about one", d.showFlags, d.oneID, d.show},
		{"replay", "ID | -all: post again, with the same input", d.replayFlags, d.oneOrAll, d.replay},
		{"drop", "ID: forget one", d.filterFlags, d.oneID, d.drop},
	})
}

func (d *deadCommand) filterFlags(fs *flag.FlagSet) {
	fs.StringVar(&d.component, "component", "", "only turns of this `component`")
	fs.StringVar(&d.session, "session", "", "only turns in this `session`")
}

func (d *deadCommand) listFlags(fs *flag.FlagSet) {
	d.filterFlags(fs)
	d.jsonFlag(fs)
}

func (d *deadCommand) showFlags(fs *flag.FlagSet) {
	d.listFlags(fs)
	fs.BoolVar(&d.input, "input", false, "print the input, too: it is what a user said")
}

func (d *deadCommand) replayFlags(fs *flag.FlagSet) {
	d.listFlags(fs)
	fs.BoolVar(&d.all, "all", false, "replay all that -component and -session select")
}

func (d *deadCommand) oneID() error {
	if len(d.words) != 1 {
		return errOneID
	}

	return nil
}

func (d *deadCommand) oneOrAll() error {
	if d.all == (len(d.words) > 0) || len(d.words) > 1 {
		return errOneOrAll
	}

	return nil
}

// selected returns the dead letters that the flags and the id, if one was given, select.
func (d *deadCommand) selected(ctx context.Context) ([]*bus.DeadLetter, error) {
	var found []*bus.DeadLetter

	for l, err := range d.client.DeadLetters(ctx, d.component) {
		if err != nil {
			return nil, err
		}

		if (d.session == "" || l.Session == d.session) && (len(d.words) == 0 || l.ID == d.words[0]) {
			found = append(found, l)
		}
	}

	return found, nil
}

func (d *deadCommand) one(ctx context.Context) (*bus.DeadLetter, error) {
	found, err := d.selected(ctx)

	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, fmt.Errorf("%s: %w", d.words[0], errNoDead)
	case len(found) > 1:
		return nil, fmt.Errorf("%s: %w", d.words[0], errManyDead)
	}

	return found[0], nil
}

func (d *deadCommand) list(ctx context.Context) error {
	found, err := d.selected(ctx)
	if err != nil {
		return err
	}

	if !d.json {
		return printTable(d.out, found)
	}

	for _, l := range found {
		if err := d.printJSON(newDeadView(l, false)); err != nil {
			return err
		}
	}

	return nil
}

func (d *deadCommand) show(ctx context.Context) error {
	l, err := d.one(ctx)
	if err != nil {
		return err
	}

	if d.json {
		return d.printJSON(newDeadView(l, d.input))
	}

	return printDead(d.out, l, d.input)
}

func (d *deadCommand) replay(ctx context.Context) error {
	if !d.all {
		l, err := d.one(ctx)
		if err != nil {
			return err
		}

		return d.replayOne(ctx, l)
	}

	found, err := d.selected(ctx)

	for _, l := range found {
		err = errors.Join(err, d.replayOne(ctx, l)) // one that can't be replayed must not hold up the others
	}

	return oneLine(err)
}

func (d *deadCommand) replayOne(ctx context.Context, l *bus.DeadLetter) error {
	ref, err := d.client.Replay(ctx, l)
	if err != nil {
		return err
	}

	if d.json {
		return d.printJSON(replayed{Replayed: l.ID, Ref: ref})
	}

	_, err = fmt.Fprintf(d.out, "replayed %s as %s in session %s\n", l.ID, ref.Turn, ref.Session)

	return err
}

// replayed is the line about a replay for programs.
type replayed struct {
	framework.Ref

	Replayed string `json:"replayed"`
}

func (d *deadCommand) drop(ctx context.Context) error {
	l, err := d.one(ctx)
	if err != nil {
		return err
	}

	if err := d.client.DropDead(ctx, l); err != nil {
		return err
	}

	_, err = fmt.Fprintf(d.out, "dropped %s\n", l.ID)

	return err
}

// oneLine keeps the message of several errors on one line.
func oneLine(err error) error {
	if err == nil || !strings.Contains(err.Error(), "\n") {
		return err
	}

	return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
}
