package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/woodwork-go/woodwork/framework"
)

// inquiry is what the commands that look at a running application share.
type inquiry struct {
	streams

	name     string
	noAction error // says which actions there are
	o        framework.Options
	json     bool
	words    []string // of the command line, beside its flags
	client   *framework.Client
}

// action is one word behind such a command.
type action struct {
	name, summary string
	flags         func(fs *flag.FlagSet)
	check         func() error // of the words and flags
	run           func(ctx context.Context) error
}

func newInquiry(s streams, name string, noAction error) inquiry {
	return inquiry{streams: s, name: name, noAction: noAction, o: framework.Options{LogLevel: quiet}}
}

// dispatch runs the action that the first argument names.
func (q *inquiry) dispatch(ctx context.Context, args []string, actions []action) error {
	if len(args) == 0 {
		return &framework.UsageError{Err: q.noAction}
	}

	switch args[0] {
	case "-h", "-help", "--help", "help":
		fmt.Fprintf(q.out, "usage: woodwork %s ACTION [flags]\n\n", q.name)

		for _, a := range actions {
			fmt.Fprintf(q.out, "  %-7s %s\n", a.name, a.summary)
		}

		return nil
	}

	for _, a := range actions {
		if a.name == args[0] {
			return q.act(ctx, a, args[1:])
		}
	}

	return &framework.UsageError{Err: fmt.Errorf("%q: %w", args[0], q.noAction)}
}

// act runs an action with a client.
func (q *inquiry) act(ctx context.Context, a action, args []string) (err error) {
	fs := flag.NewFlagSet(q.name+" "+a.name, flag.ContinueOnError)
	q.o.Register(fs)
	a.flags(fs)

	q.words, args = interspersed(fs, args)
	if err := q.o.Parse(fs, args, q.env, q.err); err != nil {
		return err
	}

	if err := a.check(); err != nil {
		return &framework.UsageError{Err: err}
	}

	q.o.Config.Name = q.name

	if q.client, err = framework.Connect(ctx, q.o.Config); err != nil {
		return err
	}

	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()

		err = errors.Join(err, q.client.Close(ctx))
	}()

	return a.run(ctx)
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

func (q *inquiry) jsonFlag(fs *flag.FlagSet) {
	fs.BoolVar(&q.json, "json", false, "print JSON, one object on each line")
}

func (q *inquiry) noWord() error {
	if len(q.words) > 0 {
		return fmt.Errorf("%q: %w; woodwork %s ls -h lists the flags", q.words[0], errArgument, q.name)
	}

	return nil
}

func (q *inquiry) printJSON(v any) error {
	enc := json.NewEncoder(q.out)
	enc.SetEscapeHTML(false)

	return enc.Encode(v)
}
