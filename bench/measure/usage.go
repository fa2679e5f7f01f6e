package measure

import (
	"fmt"
	"runtime"
	"syscall"
	"time"
)

// CPU returns the processor time that this process has used so far, in user mode and in the kernel.
func CPU() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}

	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// Memory returns the bytes in use after a full collection: the heap's live objects and the goroutines' stacks.
func Memory() uint64 {
	for range 2 { // the first one may leave what finalizers held
		runtime.GC() //nolint:revive // what is garbage must not count
	}

	var m runtime.MemStats

	runtime.ReadMemStats(&m)

	return m.HeapAlloc + m.StackInuse
}
