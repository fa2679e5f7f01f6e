package flood

import (
	"context"
	"runtime"
	"runtime/metrics"
	"time"
)

// liveHeap collects garbage and returns what is left, in bytes.
func liveHeap() uint64 {
	runtime.GC() //nolint:revive // what is garbage must not count

	return heap()
}

// heap returns the bytes of objects in the heap, garbage that was not collected yet included.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)

	return sample[0].Value.Uint64()
}

// watchHeap returns, when ctx has ended, the largest heap that there was meanwhile.
func watchHeap(ctx context.Context) <-chan uint64 {
	const every = 10 * time.Millisecond

	peak := make(chan uint64, 1)

	go func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()

		most := heap()

		for {
			select {
			case <-ticker.C:
				most = max(most, heap())
			case <-ctx.Done():
				peak <- most

				return
			}
		}
	}()

	return peak
}
