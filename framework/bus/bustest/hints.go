package bustest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Listen implements [bus.Signals]. Signals suffer what live deliveries do.
func (b *FaultyBus) Listen(ctx context.Context, id bus.StreamID, deliver func([]byte)) (func(), error) {
	h := &hints{bus: b, deliver: deliver}

	stop, err := b.Bus.Listen(ctx, id, h.receive)
	if err != nil {
		return nil, err
	}

	return func() {
		stop()
		h.stop()
	}, nil
}

// hints is one subscription to signals behind faults. Its lock keeps deliveries apart from each other and from stop.
type hints struct {
	bus     *FaultyBus
	deliver func([]byte)

	mu      sync.Mutex
	stopped bool
}

// receive passes a signal on, loses it, repeats it, or lets it come later, which is behind others.
func (h *hints) receive(data []byte) {
	cfg := &h.bus.cfg
	if h.bus.chance(cfg.Drop) {
		return
	}

	if h.bus.chance(cfg.Delay) || h.bus.chance(cfg.Reorder) {
		h.later(data)

		return
	}

	h.pass(data)

	if h.bus.chance(cfg.Duplicate) {
		h.later(data)
	}
}

func (h *hints) later(data []byte) {
	data = slices.Clone(data)
	time.AfterFunc(h.bus.delay(), func() { h.pass(data) })
}

func (h *hints) pass(data []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()

	if !h.stopped {
		h.deliver(data)
	}
}

func (h *hints) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()

	h.stopped = true
}
