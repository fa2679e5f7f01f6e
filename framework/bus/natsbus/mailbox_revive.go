package natsbus

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	// reviveLeases is how many leases lie between two looks for mailboxes that nobody will be called to, more or less.
	reviveLeases = 10
	// recallMost is how many letters are looked at each time; the next look goes on behind them.
	recallMost = 64
)

// reviveAll looks for mailboxes that nobody will be called to, now and again until ctx ends: at once when the connection
// was restored, for then the server may have been killed, and soon where a look failed.
//
// nats-server 2.15 forgets a removal when it is killed: that of the last entry in a block of its store that also notes
// the removal of entries in older blocks. Its consumer remembers that the entry was acknowledged. Who was removing that
// entry when the server was killed may do it again after a poster has relied on it, so letters are looked at, too.
func (w *worker) reviveAll(ctx context.Context) {
	for from := uint64(1); ; {
		restored := w.bus.restored.next()

		err := w.revive(ctx)
		if err == nil {
			from, err = w.recall(ctx, from)
		}

		if err != nil && ctx.Err() == nil && !w.bus.isClosing() {
			w.bus.log.Debug().Err(err).Str("component", w.component).Msg("could not look for mailboxes left behind")
		}

		wait := reviveLeases*w.lease/2 + rand.N(reviveLeases*w.lease)
		if err != nil {
			wait = w.lease
		}

		pause := time.NewTimer(wait)

		select {
		case <-pause.C:
		case <-restored:
			pause.Stop()
		case <-ctx.Done():
			pause.Stop()

			return
		}
	}
}

// revive looks once. It reads no more than the entries that were acknowledged and are still there: few, of mailboxes
// that are being cleaned or were left behind.
func (w *worker) revive(ctx context.Context) error {
	b := w.bus

	filter, err := b.ns.ReadyFilter(w.component)
	if err != nil {
		return fmt.Errorf("revive mailboxes: %w", err)
	}

	try, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()

	c, err := b.js.Consumer(try, b.ns.TurnsStream(), b.ns.Consumer(w.component))
	if err != nil {
		return fmt.Errorf("revive mailboxes: %w", err)
	}

	acked := c.CachedInfo().AckFloor.Stream

	for seq := uint64(1); seq <= acked; {
		m, err := b.nextMsg(ctx, b.ns.TurnsStream(), filter, seq)
		if err != nil {
			return fmt.Errorf("revive mailboxes: %w", err)
		}

		if m == nil || m.Seq > acked {
			return nil
		}

		x, err := b.boxOf(m.Subject)
		if err != nil {
			return err
		}

		if err := x.protocol().Revive(ctx, acked); err != nil {
			return fmt.Errorf("revive mailbox %s: %w", m.Subject, err)
		}

		seq = m.Seq + 1
	}

	return nil
}

// recall looks at some letters from a sequence on, and calls a worker to those that nobody was called to. It returns where
// the next look goes on.
func (w *worker) recall(ctx context.Context, from uint64) (uint64, error) {
	b := w.bus

	filter, err := b.ns.InboxFilter(w.component)
	if err != nil {
		return from, fmt.Errorf("recall to mailboxes: %w", err)
	}

	seen := make(map[string]bool, recallMost)

	for range recallMost {
		m, err := b.nextMsg(ctx, b.ns.TurnsStream(), filter, from)
		if err != nil {
			return from, fmt.Errorf("recall to mailboxes: %w", err)
		}

		if m == nil {
			return 1, nil
		}

		if !seen[m.Subject] {
			seen[m.Subject] = true

			x, err := b.boxOf(m.Subject)
			if err != nil {
				return from, err
			}

			if err := x.protocol().Recall(ctx); err != nil {
				return from, fmt.Errorf("recall to mailbox %s: %w", m.Subject, err)
			}
		}

		from = m.Seq + 1
	}

	return from, nil
}
