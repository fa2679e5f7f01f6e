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
	"time"

	"github.com/woodwork-go/woodwork/bench/measure"
	"github.com/woodwork-go/woodwork/bench/report"
	"github.com/woodwork-go/woodwork/bench/row"
)

func main() {
	var o options

	flag.BoolVar(&o.quick, "quick", false, "take less than four minutes, and write quick.json")
	flag.StringVar(&o.rows, "run", "", "measure only the rows whose names match the `regexp`")
	flag.StringVar(&o.out, "out", "results", "`folder` for the results")
	flag.StringVar(&o.profiles, "profile", "", "`folder` for pprof profiles of each row (default: none are taken)")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := bench(ctx, &o)

	stop()

	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are what the flags say.
type options struct {
	quick               bool
	rows, out, profiles string
}

func bench(ctx context.Context, o *options) error {
	wanted, err := regexp.Compile(o.rows)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}

	out := report.New(machine(), time.Now().UTC())

	for _, r := range row.All() {
		if !wanted.MatchString(r.Name) {
			continue
		}

		begun := time.Now()

		if err := profiled(ctx, r, o, out); err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}

		fmt.Fprintf(os.Stderr, "%-12s %s: %v\n", r.Name, r.What, time.Since(begun).Round(time.Second))
	}

	if err := out.Table(os.Stdout); err != nil {
		return err //nolint:wrapcheck // it says what it was doing
	}

	return write(out, o.out, o.quick)
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
