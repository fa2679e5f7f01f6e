package bustest

import (
	"context"
	"iter"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Call implements [bus.RPC]. A request can get lost, which nobody is told, or a reply, which ends the call; both can
// come late. Neither comes twice: no bus may do that.
func (b *FaultyBus) Call(ctx context.Context, to bus.Endpoint, request *bus.Message) iter.Seq2[*bus.Message, error] {
	return func(yield func(*bus.Message, error) bool) {
		if b.chance(b.cfg.Drop) && request.Check(b.Info().MaxBody) == nil {
			yield(nil, b.unheard(ctx))

			return
		}

		b.lag()

		for m, err := range b.Bus.Call(ctx, to, request) {
			b.lag()

			if err == nil && b.chance(b.cfg.Drop) {
				yield(nil, bus.ErrInterrupted)

				return
			}

			if !yield(m, err) {
				return
			}
		}
	}
}

// unheard returns how a call ends whose request got lost.
func (b *FaultyBus) unheard(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-b.done:
		return bus.ErrClosed
	}
}

// lag makes a message late, sometimes.
func (b *FaultyBus) lag() {
	if !b.chance(b.cfg.Delay) {
		return
	}

	timer := time.NewTimer(b.delay())
	defer timer.Stop()

	select {
	case <-timer.C:
	case <-b.done:
	}
}
