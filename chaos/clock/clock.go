package clock

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"time"
)

// Env is the variable that names a process's file.
const Env = "CHAOS_CLOCK"

const (
	ownerOnly = 0o600
	size      = 8 // of a number in the file
)

// Clock is the clock of one process, and of those that follow it. All methods may be called concurrently.
type Clock struct {
	mu    sync.Mutex
	file  *os.File
	stood time.Duration
}

// New makes a clock that is right. Whoever makes it must close it.
func New(path string) (*Clock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_TRUNC, ownerOnly) //nolint:gosec // the run's own folder
	if err != nil {
		return nil, fmt.Errorf("make clock: %w", err)
	}
	c := &Clock{file: file}
	if err := file.Truncate(2 * size); err != nil {
		return nil, fmt.Errorf("make clock: %w", err)
	}

	return c, nil
}

// Path returns the path of the file.
func (c *Clock) Path() string { return c.file.Name() }

// Step makes the wall clock wrong by whole seconds; 0 sets it right.
func (c *Clock) Step(by time.Duration) error {
	return c.put(0, int64(by/time.Second))
}

// Stand takes a time out of the monotonic clock: the one in which the process was stopped, or less. It must be called
// while the process is stopped.
func (c *Clock) Stand(d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stood += d

	return c.put(1, int64(c.stood))
}

func (c *Clock) put(i, n int64) error {
	if _, err := c.file.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(n)), i*size); err != nil {
		return fmt.Errorf("set clock: %w", err)
	}

	return nil
}

// Close closes the file. The processes keep their own.
func (c *Clock) Close() error { return c.file.Close() }
