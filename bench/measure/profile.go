package measure

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
)

// How often what the profiles are about is sampled.
const (
	mutexFraction = 20      // one contention in this many
	blockRate     = 100_000 // once for this many nanoseconds that goroutines wait
)

// Profile takes profiles of what runs until stop is called, and leaves them in the folder: <name>.cpu.pprof and those
// of allocations, of mutexes and of waiting. The last three hold what came before in the process, too. It costs a few
// percent, so figures of such a run are not to be quoted.
func Profile(dir, name string) (stop func() error, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // results are for everyone
		return nil, fmt.Errorf("profile: %w", err)
	}

	at := func(kind string) string { return filepath.Join(dir, name+"."+kind+".pprof") }

	cpu, err := os.Create(at("cpu"))
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}

	if err := pprof.StartCPUProfile(cpu); err != nil {
		return nil, fmt.Errorf("profile: %w", errors.Join(err, cpu.Close()))
	}

	runtime.SetMutexProfileFraction(mutexFraction)
	runtime.SetBlockProfileRate(blockRate)

	return func() error {
		pprof.StopCPUProfile()
		runtime.SetMutexProfileFraction(0)
		runtime.SetBlockProfileRate(0)

		err := cpu.Close()
		for _, kind := range []string{"allocs", "mutex", "block"} {
			err = errors.Join(err, writeProfile(kind, at(kind)))
		}

		return err
	}, nil
}

func writeProfile(kind, name string) error {
	f, err := os.Create(name) //nolint:gosec // the user's own choice
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}

	if err := errors.Join(pprof.Lookup(kind).WriteTo(f, 0), f.Close()); err != nil {
		return fmt.Errorf("write profile of %s: %w", kind, err)
	}

	return nil
}
