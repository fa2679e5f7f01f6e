// Command woodwork runs a whole pipeline on one machine and talks to running ones.
//
// "woodwork up" starts the broker in this process (or uses the one that -bus, -server or the environment names), the
// language model service, and a chat in this terminal; each of them has its own connection, and they share nothing else.
// "woodwork chat" is only the chat, for a pipeline that runs elsewhere.
//
// File map: main.go the commands; up.go and chat.go one each; broker.go where the bus is; conversation.go prompts in,
// answers out; interrupt.go what Ctrl-C means; actions.go what the commands share that look at a running application:
// component*.go the instances that are there, breaker*.go their circuit breakers, session*.go sessions, and dead*.go turns
// that were set aside; print.go how they print.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/woodwork-go/woodwork/framework"
)

// command is one word behind "woodwork".
type command struct {
	name, summary string
	run           func(ctx context.Context, s streams, args []string) error
}

// streams are what a command reads and prints.
type streams struct {
	in       *os.File
	out, err *os.File
	env      func(string) string
	ctrlC    *interrupts
}

func commands() []command {
	return []command{
		{"up", "run a pipeline and chat with it: input, language model, output", up},
		{"chat", "chat with a pipeline that already runs", chat},
		{"component", "list the instances that are there, or say all about some: component ls", component},
		{"breaker", "list circuit breakers, or force some: breaker ls", circuitBreakers},
		{"session", "list, show or end sessions: session ls", sessions},
		{"dead", "list, show, replay or drop turns that were set aside: dead ls", dead},
		{"healthcheck", "ask a health endpoint; exit 0 when it is well", healthcheck},
		{"version", "print the version", version},
	}
}

func main() {
	os.Exit(run(streams{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.Getenv}, os.Args[1:]))
}

func run(s streams, args []string) int {
	s.ctrlC = &interrupts{}

	ctx, stop := s.ctrlC.watch(context.Background())
	defer stop()

	err := dispatch(ctx, s, args)
	if errors.Is(context.Cause(ctx), errSignal) && (errors.Is(err, context.Canceled) || errors.Is(err, errSignal)) {
		return exitSignal
	}

	return framework.ExitCode("woodwork", err, s.err)
}

// dispatch runs the command that the first argument names.
func dispatch(ctx context.Context, s streams, args []string) error {
	if len(args) == 0 {
		usage(s.err)

		return &framework.UsageError{Err: errNoCommand}
	}

	switch args[0] {
	case "help", "-h", "-help", "--help":
		usage(s.out)

		return nil
	}

	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(ctx, s, args[1:])
		}
	}

	return &framework.UsageError{Err: fmt.Errorf("%q: %w", args[0], errUnknownCommand)}
}

var (
	errNoCommand      = errors.New("name a command, for example: woodwork up")
	errUnknownCommand = errors.New("unknown command; woodwork help lists them")
)

func usage(w io.Writer) {
	var b strings.Builder

	b.WriteString("Durable, resumable streams between services.\n\nusage: woodwork COMMAND [flags]\n\n")

	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-12s %s\n", c.name, c.summary)
	}

	b.WriteString("\nwoodwork COMMAND -h lists a command's flags; each can also be set by the environment.\n")
	_, _ = io.WriteString(w, b.String())
}

func healthcheck(ctx context.Context, _ streams, args []string) error {
	if len(args) != 1 {
		return &framework.UsageError{Err: errHealthURL}
	}

	return framework.CheckHealth(ctx, args[0])
}

var errHealthURL = errors.New("give one URL: woodwork healthcheck http://127.0.0.1:8090/readyz")

func version(_ context.Context, s streams, _ []string) error {
	_, err := fmt.Fprintln(s.out, "woodwork", framework.Version())

	return err
}

// parse reads a command's flags; nothing may stand behind them.
func parse(o *framework.Options, fs *flag.FlagSet, s streams, args []string) error {
	if err := o.Parse(fs, args, s.env, s.err); err != nil {
		return err
	}

	if fs.NArg() > 0 {
		return &framework.UsageError{Err: fmt.Errorf("%q: %w; woodwork %s -h lists the flags", fs.Arg(0), errArgument, fs.Name())}
	}

	return nil
}

var errArgument = errors.New("unexpected argument")
