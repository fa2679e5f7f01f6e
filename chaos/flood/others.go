package flood

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// interval is how often each of the others sends a chunk: 50 times a second.
const interval = 20 * time.Millisecond

// others are sessions that stream while the flood does, in the same process and over the same connection.
type others struct {
	store *stream.Store
	count int
	run   string // with runs makes the streams' ids unlike those of earlier measurements
	runs  int
}

// measure returns how long each chunk of the others took within d, from Send to its reader's Next.
func (o *others) measure(ctx context.Context, d time.Duration) ([]time.Duration, error) {
	stopped, stop := context.WithTimeout(ctx, d)
	defer stop()

	o.runs++

	var (
		running sync.WaitGroup
		mu      sync.Mutex
		all     []time.Duration
		failed  error
	)

	for i := range o.count {
		running.Go(func() {
			id := bus.StreamID{Session: fmt.Sprint("other-", i), Stream: fmt.Sprint(o.run, "-", o.runs)}
			hops, err := o.stream(ctx, stopped, id)

			mu.Lock()
			defer mu.Unlock()

			all, failed = append(all, hops...), errors.Join(failed, err)
		})
	}

	running.Wait()

	return all, failed
}

// stream writes and reads one stream until stopped.
func (o *others) stream(ctx, stopped context.Context, id bus.StreamID) ([]time.Duration, error) {
	r, err := o.store.OpenReader(ctx, id, bus.Cursor{})
	if err != nil {
		return nil, fmt.Errorf("read a stream of others: %w", err)
	}
	defer r.Close()

	wrote := make(chan error, 1)
	go func() { wrote <- o.write(ctx, stopped, id) }()

	var hops []time.Duration

	for chunk, err := range r.Chunks(ctx) {
		if err != nil {
			return hops, errors.Join(fmt.Errorf("read a stream of others: %w", err), <-wrote)
		}

		sent := time.Unix(0, int64(binary.BigEndian.Uint64(chunk.Data)))
		hops = append(hops, time.Since(sent))
	}

	return hops, <-wrote
}

// write sends the time at regular intervals.
func (o *others) write(ctx, stopped context.Context, id bus.StreamID) error {
	w, err := o.store.OpenWriter(ctx, stream.WriterConfig{
		Session: id.Session, Info: stream.Info{Stream: id.Stream, Type: bus.Binary}, Unlisted: true,
	})
	if err != nil {
		return fmt.Errorf("write a stream of others: %w", err)
	}

	ticker := time.NewTicker(interval)
	defer ticker.Stop()

	for {
		select {
		case <-ticker.C:
			now := binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano()))
			if err := w.Send(ctx, now); err != nil {
				w.Abandon()

				return fmt.Errorf("write a stream of others: %w", err)
			}
		case <-stopped.Done():
			return w.Close(ctx)
		}
	}
}

// percentile sorts durations and returns their 99th percentile.
func percentile(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}

	slices.Sort(all)

	return all[len(all)*99/100]
}
