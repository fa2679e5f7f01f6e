package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
)

// deadCommand looks after turns that were set aside.
type deadCommand struct {
	streams

	o                  framework.Options
	component, session string
	json, input, all   bool
	ids                []string // of turns
	client             *framework.Client
}

// deadAction is one word behind "woodwork dead".
type deadAction struct {
	name, summary string
	flags         func(d *deadCommand, fs *flag.FlagSet)
	check         func(d *deadCommand) error
	run           func(ctx context.Context, d *deadCommand) error
}

func deadActions() []deadAction {
	return []deadAction{
		{"ls", "list the turns that were set aside", listFlags, (*deadCommand).noID, listDead},
		{"show", "ID: say all about one", showFlags, (*deadCommand).oneID, showDead},
		{"replay", "ID | -all: post again, with the same input", replayFlags, (*deadCommand).oneOrAll, replayDead},
		{"drop", "ID: forget one", dropFlags, (*deadCommand).oneID, dropDead},
	}
}

var (
	errDeadAction = errors.New("name an action: woodwork dead ls, show, replay or drop")
	errOneID      = errors.New("give the id of one turn; woodwork dead ls lists them")
	errOneOrAll   = errors.New("give the id of one turn, or -all; woodwork dead ls lists them")
	errNoDead     = errors.New("no such dead letter; woodwork dead ls lists them")
	errManyDead   = errors.New("several turns have this id; add -session or -component")
)

func dead(ctx context.Context, s streams, args []string) error {
	if len(args) == 0 {
		return &framework.UsageError{Err: errDeadAction}
	}

	switch args[0] {
	case "-h", "-help", "--help", "help":
		fmt.Fprintln(s.out, "usage: woodwork dead ACTION [flags]")
		fmt.Fprintln(s.out)

		for _, a := range deadActions() {
			fmt.Fprintf(s.out, "  %-7s %s\n", a.name, a.summary)
		}

		return nil
	}

	for _, a := range deadActions() {
		if a.name == args[0] {
			return runDead(ctx, s, a, args[1:])
		}
	}

	return &framework.UsageError{Err: fmt.Errorf("%q: %w", args[0], errDeadAction)}
}

func runDead(ctx context.Context, s streams, a deadAction, args []string) (err error) {
	d := &deadCommand{streams: s, o: framework.Options{LogLevel: quiet}}
	fs := flag.NewFlagSet("dead "+a.name, flag.ContinueOnError)
	d.o.Register(fs)
	a.flags(d, fs)

	d.ids, args = interspersed(fs, args)
	if err := d.o.Parse(fs, args, s.env, s.err); err != nil {
		return err
	}

	if err := a.check(d); err != nil {
		return &framework.UsageError{Err: err}
	}

	d.o.Config.Name = "dead"

	if d.client, err = framework.Connect(ctx, d.o.Config); err != nil {
		return err
	}

	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()

		err = errors.Join(err, d.client.Close(ctx))
	}()

	return a.run(ctx, d)
}

// interspersed splits arguments into words and flags, wherever either of them stands. A mistake is among
// the flags, for whoever parses them to report.
func interspersed(fs *flag.FlagSet, args []string) (words, flags []string) {
	fs.SetOutput(io.Discard)

	for rest := args; ; rest = rest[1:] {
		if fs.Parse(rest) != nil {
			return nil, append(flags, rest...)
		}

		read := rest[:len(rest)-fs.NArg()]
		rest = fs.Args()

		if n := len(read); n > 0 && read[n-1] == "--" {
			return append(words, rest...), append(flags, read[:n-1]...)
		}

		flags = append(flags, read...)

		if len(rest) == 0 {
			return words, flags
		}

		words = append(words, rest[0])
	}
}

func filterFlags(d *deadCommand, fs *flag.FlagSet) {
	fs.StringVar(&d.component, "component", "", "only turns of this `component`")
	fs.StringVar(&d.session, "session", "", "only turns in this `session`")
}

func jsonFlag(d *deadCommand, fs *flag.FlagSet) {
	fs.BoolVar(&d.json, "json", false, "print JSON, one object on each line")
}

func listFlags(d *deadCommand, fs *flag.FlagSet) {
	filterFlags(d, fs)
	jsonFlag(d, fs)
}

func showFlags(d *deadCommand, fs *flag.FlagSet) {
	listFlags(d, fs)
	fs.BoolVar(&d.input, "input", false, "print the input, too: it is what a user said")
}

func replayFlags(d *deadCommand, fs *flag.FlagSet) {
	listFlags(d, fs)
	fs.BoolVar(&d.all, "all", false, "replay all that -component and -session select")
}

func dropFlags(d *deadCommand, fs *flag.FlagSet) { filterFlags(d, fs) }

func (d *deadCommand) noID() error {
	if len(d.ids) > 0 {
		return fmt.Errorf("%q: %w; woodwork dead ls -h lists the flags", d.ids[0], errArgument)
	}

	return nil
}

func (d *deadCommand) oneID() error {
	if len(d.ids) != 1 {
		return errOneID
	}

	return nil
}

func (d *deadCommand) oneOrAll() error {
	if d.all == (len(d.ids) > 0) || len(d.ids) > 1 {
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

		if (d.session == "" || l.Session == d.session) && (len(d.ids) == 0 || l.ID == d.ids[0]) {
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
		return nil, fmt.Errorf("%s: %w", d.ids[0], errNoDead)
	case len(found) > 1:
		return nil, fmt.Errorf("%s: %w", d.ids[0], errManyDead)
	}

	return found[0], nil
}

func listDead(ctx context.Context, d *deadCommand) error {
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

func showDead(ctx context.Context, d *deadCommand) error {
	l, err := d.one(ctx)
	if err != nil {
		return err
	}

	if d.json {
		return d.printJSON(newDeadView(l, d.input))
	}

	return printDead(d.out, l, d.input)
}

func replayDead(ctx context.Context, d *deadCommand) error {
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

func dropDead(ctx context.Context, d *deadCommand) error {
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

func (d *deadCommand) printJSON(v any) error {
	enc := json.NewEncoder(d.out)
	enc.SetEscapeHTML(false)

	return enc.Encode(v)
}

// oneLine keeps the message of several errors on one line.
func oneLine(err error) error {
	if err == nil || !strings.Contains(err.Error(), "\n") {
		return err
	}

	return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
}
