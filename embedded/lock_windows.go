package embedded

import (
	"errors"
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/windows"
)

// lockFile takes an exclusive lock that lasts until f is closed or the process ends, or returns errLocked. It locks
// the last byte a file can have, so that others can still read who holds the lock.
func lockFile(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY

	at := &windows.Overlapped{Offset: math.MaxUint32, OffsetHigh: math.MaxInt32}

	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errLocked
	}

	if err != nil {
		return fmt.Errorf("lock file: %w", err)
	}

	return nil
}
