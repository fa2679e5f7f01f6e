package framework

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Exit codes of every Woodwork program.
const (
	ExitOK      = 0
	ExitFailure = 1
	ExitUsage   = 2
)

// Main runs a service as a process and does not return. It reads flags and environment, opens the bus, runs the
// service until it ends or SIGTERM or SIGINT arrives, and drains: no more turns are taken, running ones may finish,
// what is left is handed over, and the bus is closed. A second signal ends the process at once.
//
// The process exits with 0 after a drain, 2 for wrong usage and 1 for any other failure, which it reports on stderr in
// one line. Run as "name healthcheck [url]" it asks a running instance for its health instead.
func Main(s Service) {
	os.Exit(mainCode(s, os.Args, os.Getenv, os.Stderr))
}

func mainCode(s Service, args []string, env func(string) string, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	context.AfterFunc(ctx, stop) // a second signal ends the process at once

	if len(args) > 1 && args[1] == "healthcheck" {
		return ExitCode(s.Name, CheckHealth(ctx, healthURL(args[2:], env)), stderr)
	}

	var o Options

	fs := flag.NewFlagSet(filepath.Base(args[0]), flag.ContinueOnError)
	o.Register(fs)

	if s.Flags != nil {
		s.Flags(fs)
	}

	if err := parseAll(&s, &o, fs, args[1:], env, stderr); err != nil {
		return ExitCode(s.Name, err, stderr)
	}

	return ExitCode(s.Name, Run(ctx, s, o.Config), stderr)
}

// parseAll parses the command line and applies it to the service.
func parseAll(s *Service, o *Options, fs *flag.FlagSet, args []string, env func(string) string, stderr io.Writer) error {
	if err := o.Parse(fs, args, env, stderr); err != nil {
		return err
	}

	if fs.NArg() > 0 {
		return &UsageError{fmt.Errorf("%q: %w; run %s -h for the flags", fs.Arg(0), errArgument, fs.Name())}
	}

	if s.Check != nil {
		if err := s.Check(); err != nil {
			return &UsageError{err}
		}
	}

	if o.To != nil {
		s.To = o.To
	}

	if o.Concurrency != 0 {
		s.Concurrency = o.Concurrency
	}

	s.Affinity = s.Affinity || o.Affinity

	return nil
}

// errArgument: the command line holds something that is not a flag.
var errArgument = errors.New("unexpected argument")

// ExitCode reports err on stderr in one line and returns the exit code that goes with it.
func ExitCode(name string, err error, stderr io.Writer) int {
	var usage *UsageError

	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return ExitOK
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "%s: %s\n", name, oneLine(err))

		return ExitUsage
	default:
		fmt.Fprintf(stderr, "%s: %s\n", name, oneLine(err))

		return ExitFailure
	}
}

// oneLine joins the lines of errors that hold several.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

// closeTimeout bounds the closing of the bus after the drain.
const closeTimeout = 5 * time.Second
