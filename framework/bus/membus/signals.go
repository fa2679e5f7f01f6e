package membus

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// signalQueue is how many signals may wait for one listener before more are dropped.
const signalQueue = 64

// signals are the listeners of all streams.
type signals struct {
	mu        sync.Mutex
	listeners map[bus.StreamID][]*listener
}

// listener is one subscription to signals. Its goroutine lives only while the queue holds something.
type listener struct {
	id      bus.StreamID
	deliver func([]byte)

	mu      sync.Mutex
	queue   [][]byte
	running bool
	stopped bool
	wg      sync.WaitGroup
}

// Signal implements [bus.Signals].
func (b *Bus) Signal(ctx context.Context, id bus.StreamID, data []byte) error {
	if err := checkStream(id); err != nil {
		return fmt.Errorf("signal: %w", err)
	}

	if len(data) > bus.MaxSignal {
		return fmt.Errorf("signal of %d bytes: %w", len(data), bus.ErrTooLarge)
	}

	if err := b.ready(ctx); err != nil {
		return fmt.Errorf("signal: %w", err)
	}

	for _, l := range b.broker.signals.of(id) {
		l.push(slices.Clone(data))
	}

	return nil
}

// Listen implements [bus.Signals]. stop waits for a delivery in progress.
func (b *Bus) Listen(ctx context.Context, id bus.StreamID, deliver func([]byte)) (func(), error) {
	if err := checkStream(id); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}

	if err := b.ready(ctx); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}

	l := &listener{id: id, deliver: deliver}

	b.mu.Lock()
	defer b.mu.Unlock()

	if b.listeners == nil {
		return nil, fmt.Errorf("listen: %w", bus.ErrClosed)
	}

	b.listeners[l] = struct{}{}
	b.broker.signals.add(l)

	return func() { b.unlisten(l) }, nil
}

func (b *Bus) unlisten(l *listener) {
	b.mu.Lock()
	delete(b.listeners, l)
	b.mu.Unlock()

	b.broker.signals.remove(l)
	l.stop()
}

func (s *signals) add(l *listener) {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.listeners == nil {
		s.listeners = make(map[bus.StreamID][]*listener)
	}

	s.listeners[l.id] = append(s.listeners[l.id], l)
}

func (s *signals) remove(l *listener) {
	s.mu.Lock()
	defer s.mu.Unlock()

	rest := slices.DeleteFunc(s.listeners[l.id], func(other *listener) bool { return other == l })
	if s.listeners[l.id] = rest; len(rest) == 0 {
		delete(s.listeners, l.id)
	}
}

func (s *signals) of(id bus.StreamID) []*listener {
	s.mu.Lock()
	defer s.mu.Unlock()

	return slices.Clone(s.listeners[id])
}

func (l *listener) push(data []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()

	if l.stopped || len(l.queue) == signalQueue {
		return
	}

	l.queue = append(l.queue, data)
	if !l.running {
		l.running = true
		l.wg.Go(l.drain)
	}
}

func (l *listener) drain() {
	for data, ok := l.next(); ok; data, ok = l.next() {
		l.deliver(data)
	}
}

// next returns the oldest signal; when there is none the drain is over.
func (l *listener) next() ([]byte, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()

	if l.stopped || len(l.queue) == 0 {
		l.queue, l.running = nil, false

		return nil, false
	}

	data := l.queue[0]
	l.queue = l.queue[1:]

	return data, true
}

func (l *listener) stop() {
	l.mu.Lock()
	l.stopped = true
	l.mu.Unlock()

	l.wg.Wait()
}
