// Command bench measures Woodwork beside the bare brokers and its peers, and writes what it found as a table, as JSON and
// as plots.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/woodwork-go/woodwork/bench/measure"
	"github.com/woodwork-go/woodwork/bench/report"
	"github.com/woodwork-go/woodwork/bench/row"
)

func main() {
	var o options

	flag.BoolVar(&o.quick, "quick", false, "take less than four minutes, and write quick.json")
	flag.StringVar(&o.rows, "run", "", "measure only the rows whose names match the `regexp`, and write no results")
	flag.StringVar(&o.out, "out", "results", "`folder` for the results")
	flag.StringVar(&o.profiles, "profile", "", "`folder` for pprof profiles of each row (default: none are taken)")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := bench(ctx, &o)

	stop()

	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}

	switch {
	case errors.Is(err, errUsage):
		os.Exit(2) //nolint:mnd // by custom
	case err != nil:
		os.Exit(1)
	}
}

// errUsage marks what the user asked for and can't have.
var errUsage = errors.New("wrong usage")

// options are what the flags say.
type options struct {
	quick               bool
	rows, out, profiles string
}

func bench(ctx context.Context, o *options) error {
	rows, err := wanted(o.rows)
	if err != nil {
		return err
	}

	out := report.New(machine(), time.Now().UTC())

	for _, r := range rows {
		begun := time.Now()

		if err := profiled(ctx, r, o, out); err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}

		fmt.Fprintf(os.Stderr, "%-12s %s: %v\n", r.Name, r.What, time.Since(begun).Round(time.Second))
	}

	if err := out.Table(os.Stdout); err != nil {
		return err //nolint:wrapcheck // it says what it was doing
	}

	if o.rows != "" {
		return nil // results are of whole runs
	}

	return write(out, o.out, o.quick)
}

// wanted returns the rows whose names match an expression, or all for "".
func wanted(expression string) ([]row.Row, error) {
	match, err := regexp.Compile(expression)
	if err != nil {
		return nil, fmt.Errorf("-run: %w: %w", errUsage, err)
	}

	var rows []row.Row

	names := make([]string, 0, len(row.All()))

	for _, r := range row.All() {
		names = append(names, r.Name)

		if match.MatchString(r.Name) {
			rows = append(rows, r)
		}
	}

	if len(rows) == 0 {
		return nil, fmt.Errorf("-run: %w: no row matches %q; there are %s", errUsage, expression, strings.Join(names, ", "))
	}

	return rows, nil
}

// profiled measures a row, and takes profiles meanwhile if they are wanted.
func profiled(ctx context.Context, r row.Row, o *options, out *report.Report) error {
	scale := row.Scale{Quick: o.quick}
	if o.profiles == "" {
		return run(ctx, r, scale, out)
	}

	stop, err := measure.Profile(o.profiles, r.Name)
	if err != nil {
		return err //nolint:wrapcheck // it says what it was doing
	}

	return errors.Join(run(ctx, r, scale, out), stop())
}

// run measures a row on brokers of its own.
func run(ctx context.Context, r row.Row, scale row.Scale, out *report.Report) error {
	e := &row.Env{Scale: scale}
	err := r.Run(ctx, e, out)

	if closeErr := e.Close(); err == nil {
		err = closeErr
	}

	return err //nolint:wrapcheck // the caller says which row it was
}

// machine names what the figures are of.
func machine() string {
	return fmt.Sprintf("%s/%s, %d processors, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
}

// write leaves the results in the folder.
func write(out *report.Report, dir string, quick bool) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // results are for everyone
		return fmt.Errorf("make folder for results: %w", err)
	}

	name := "full.json"
	if quick {
		name = "quick.json"
	}

	results := out.JSON
	if quick {
		results = out.TargetsJSON
	}

	if err := create(filepath.Join(dir, name), results); err != nil {
		return err
	}

	for _, p := range out.Plots {
		if quick {
			break // it has too few points
		}

		if err := create(filepath.Join(dir, p.File+".svg"), p.SVG); err != nil {
			return err
		}
	}

	return nil
}

// create writes a file.
func create(name string, content func(w io.Writer) error) error {
	f, err := os.Create(name) //nolint:gosec // the user's own choice
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}

	err = content(f)

	if closeErr := f.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("write results: %w", closeErr)
	}

	return err
}
