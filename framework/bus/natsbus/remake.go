package natsbus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// How long lies between two looks for what the servers have lost, when all is there and when something can't be made.
const (
	remakeMin = time.Second
	remakeMax = 30 * time.Second
)

// keeper makes again what the servers lose of the application while it runs: JetStream streams and buckets that somebody
// deleted, or that went with the servers' data. What was in them is lost; with them gone nothing would work any more.
type keeper struct {
	mu      sync.Mutex
	kept    map[string]jetstream.StreamConfig // as they are, by name
	looking bool
	closed  bool
	rest    time.Time // when it may look again
	done    sync.WaitGroup
}

// keep notes the settings under which a JetStream stream is to be made again.
func (k *keeper) keep(have jetstream.StreamConfig) {
	k.mu.Lock()
	defer k.mu.Unlock()

	if k.kept == nil {
		k.kept = map[string]jetstream.StreamConfig{}
	}

	k.kept[have.Name] = have
}

// begin reports whether to look for what is lost: one at a time does, and not too often.
func (k *keeper) begin() bool {
	k.mu.Lock()
	defer k.mu.Unlock()

	if k.looking || k.closed || time.Now().Before(k.rest) {
		return false
	}

	k.looking = true
	k.done.Add(1)

	return true
}

func (k *keeper) end() {
	k.mu.Lock()
	defer k.mu.Unlock()

	k.looking, k.rest = false, time.Now().Add(remakeMin)
	k.done.Done()
}

func (k *keeper) all() []jetstream.StreamConfig {
	k.mu.Lock()
	defer k.mu.Unlock()

	all := make([]jetstream.StreamConfig, 0, len(k.kept))
	for _, c := range k.kept {
		all = append(all, c)
	}

	return all
}

// close waits for who looks. The bus's life must have ended.
func (k *keeper) close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.done.Wait()
}

// missed looks, without waiting, whether the servers have lost something. Whoever finds nobody that answers calls it, and
// tries again.
func (b *Bus) missed() {
	if b.isClosing() || !b.keeper.begin() {
		return
	}

	go func() {
		defer b.keeper.end()

		b.remakeAll()
	}()
}

// remakeAll makes what is lost, until all is there or the bus is closed.
func (b *Bus) remakeAll() {
	for wait := remakeMin; ; wait = min(2*wait, remakeMax) {
		var failed error

		for _, c := range b.keeper.all() {
			if err := b.remake(b.life, c); err != nil {
				failed = errors.Join(failed, err)
			}
		}

		b.link.Missing(failed)

		if failed == nil || b.life.Err() != nil {
			return
		}

		b.log.Warn().Err(failed).Dur("again_after", wait).Msg("can't make again what the servers have lost")

		pause := time.NewTimer(wait)
		select {
		case <-pause.C:
		case <-b.life.Done():
			pause.Stop()

			return
		}
	}
}

// remake makes a JetStream stream again if it is not there. One that can't be asked for now is not taken for lost.
func (b *Bus) remake(ctx context.Context, c jetstream.StreamConfig) error {
	try, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()

	if _, err := b.js.Stream(try, c.Name); !errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}

	b.log.Warn().Str("jetstream", c.Name).Msg("the servers have lost a JetStream stream and all that was in it; making it again")

	if err := b.create(try, c); err != nil {
		return fmt.Errorf("JetStream stream %s: %w", c.Name, err)
	}

	return nil
}

// create makes a JetStream stream, unless another process has made it meanwhile.
//
// Its first sequence is a time, in microseconds, so that no sequence of an earlier life of the JetStream stream is used
// again: what a writer, a reader or a worker still knows of that life names nothing in this one.
func (b *Bus) create(ctx context.Context, c jetstream.StreamConfig) error {
	c.FirstSeq = uint64(time.Now().UnixMicro())

	_, err := b.js.CreateStream(ctx, c)
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return nil
	}

	return err
}
