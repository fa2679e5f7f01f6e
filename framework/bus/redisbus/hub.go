package redisbus

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// How the subscribed connection is watched and restored.
const (
	pingInterval = 5 * time.Second
	// silence is after how long without a word, pings' answers included, the connection counts as broken.
	silence = 2*pingInterval + time.Second
	// reconnectMin and reconnectMax bound the wait before a try to connect again.
	reconnectMin = 20 * time.Millisecond
	reconnectMax = time.Second
	// subscribeAtOnce bounds the channels of one command.
	subscribeAtOnce = 1000
)

// hub holds the one subscribed connection of a bus, for all its subscriptions. One goroutine receives and delivers, so
// whoever is delivered to must not block. A server ends the connection of a subscriber that is too slow, which counts as
// any other break.
type hub struct {
	bus    *Bus
	inbox  string // a channel of this bus alone, which keeps the connection subscribed
	end    context.CancelFunc
	tasks  sync.WaitGroup
	ending chan struct{}
	breaks atomic.Uint64 // how often the connection broke

	mu     sync.Mutex
	conn   *redis.PubSub     // nil while broken
	topics map[string]*topic // by channel
	asked  map[string]int    // SUBSCRIBEs on conn that the server has not confirmed
	closed bool
}

func newHub(b *Bus, inbox string) *hub {
	return &hub{
		bus: b, inbox: inbox, end: func() {}, ending: make(chan struct{}),
		topics: map[string]*topic{}, asked: map[string]int{},
	}
}

// start connects, and begins to receive.
func (h *hub) start(ctx context.Context) error {
	conn, err := h.connect(ctx)
	if err != nil {
		return err
	}
	h.conn = conn
	h.bus.contact.heard()
	ctx, h.end = context.WithCancel(context.WithoutCancel(ctx))
	h.tasks.Go(func() { h.run(ctx, conn) })
	h.tasks.Go(func() { h.ping(ctx) })

	return nil
}

// connect returns a connection on which the server has confirmed the inbox.
func (h *hub) connect(ctx context.Context) (*redis.PubSub, error) {
	ctx, cancel := context.WithTimeout(ctx, h.bus.cfg.DialTimeout)
	defer cancel()
	conn := h.bus.client.Subscribe(ctx)
	err := conn.Subscribe(ctx, h.inbox)
	if err == nil {
		_, err = conn.ReceiveTimeout(ctx, h.bus.cfg.DialTimeout)
	}
	if err != nil {
		_ = conn.Close() // it never worked

		return nil, err
	}

	return conn, nil
}

// run receives, and connects again whenever the connection broke, until the hub ends.
func (h *hub) run(ctx context.Context, conn *redis.PubSub) {
	for conn != nil {
		err := h.receive(ctx, conn)
		h.broke(conn)
		if ctx.Err() != nil {
			return
		}
		h.bus.contact.unheard(err)
		h.bus.calls.interrupt(errBroke)
		h.bus.log.Warn().Err(err).Msg("the subscribed connection to Redis broke; reconnecting")
		if conn = h.reconnect(ctx); conn == nil {
			return
		}
		h.adopt(ctx, conn)
		h.bus.contact.heard()
		h.bus.log.Info().Msg("subscribed to Redis again")
		h.tasks.Go(func() {
			h.bus.lookAgain(ctx)
			h.bus.checkLife(ctx)
		})
	}
}

// receive delivers what comes until the connection breaks.
func (h *hub) receive(ctx context.Context, conn *redis.PubSub) error {
	for {
		got, err := conn.ReceiveTimeout(ctx, silence)
		if err != nil {
			return err
		}
		switch m := got.(type) {
		case *redis.Message:
			h.deliver(m.Channel, m.Payload)
		case *redis.Subscription:
			if m.Kind == "subscribe" {
				h.confirmed(m.Channel)
			}
		}
	}
}

// reconnect tries until it has a connection, or returns nil when ctx ends.
func (h *hub) reconnect(ctx context.Context) *redis.PubSub {
	for wait := reconnectMin; ; wait = min(2*wait, reconnectMax) {
		if !pause(ctx, wait/2+rand.N(wait)) {
			return nil
		}
		if conn, err := h.connect(ctx); err == nil {
			return conn
		}
	}
}

// pause waits and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// ping keeps the connection from being silent.
func (h *hub) ping(ctx context.Context) {
	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			h.mu.Lock()
			h.send(ctx, func(ctx context.Context) error { return h.conn.Ping(ctx) })
			h.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// send writes to the connection if there is one. A write that fails breaks it, which run notices. mu is held.
func (h *hub) send(ctx context.Context, write func(context.Context) error) {
	if h.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	if err := write(ctx); err != nil {
		_ = h.conn.Close() // run closes it as well
	}
}

// broke forgets a connection. Those who wait for a confirmation need wait no longer: their missed is called when there is
// a connection again.
func (h *hub) broke(conn *redis.PubSub) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_ = conn.Close() // it is broken
	h.breaks.Add(1)
	h.conn = nil
	clear(h.asked)
	for _, t := range h.topics {
		t.lost = true
		t.open()
	}
}

// adopt subscribes to everything on a new connection.
func (h *hub) adopt(ctx context.Context, conn *redis.PubSub) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		_ = conn.Close() // nothing was sent

		return
	}
	h.conn = conn
	some := make([]string, 0, min(len(h.topics), subscribeAtOnce))
	for channel := range h.topics {
		if some = append(some, channel); len(some) == subscribeAtOnce {
			h.ask(ctx, some...)
			some = some[:0]
		}
	}
	if len(some) > 0 {
		h.ask(ctx, some...)
	}
}

// ask subscribes to channels. mu is held.
func (h *hub) ask(ctx context.Context, channels ...string) {
	for _, channel := range channels {
		h.asked[channel]++
	}
	h.send(ctx, func(ctx context.Context) error { return h.conn.Subscribe(ctx, channels...) })
}

// subscribe has deliver called, from the hub's goroutine, with everything that is published to a channel from when it
// returns until stop was called: at most once, in order. missed says that something may have been missed. Neither may
// block or call stop, which waits for a call in progress; deliver may publish. It returns after the server confirmed it
// or, while the connection is broken, at once: then missed is called as soon as it works.
func (h *hub) subscribe(ctx context.Context, channel string, deliver func(*message), missed func()) (stop func(), err error) {
	if err := h.bus.ready(ctx); err != nil {
		return nil, err
	}
	s := &subscription{deliver: deliver, missed: missed}
	t, err := h.join(ctx, channel, s)
	if err != nil {
		return nil, err
	}
	stop = func() { h.leave(ctx, t, s) }
	select {
	case <-t.opened:
		return stop, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-h.ending:
		err = bus.ErrClosed
	}
	stop()

	return nil, err
}

func (h *hub) join(ctx context.Context, channel string, s *subscription) (*topic, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, bus.ErrClosed
	}
	t := h.topics[channel]
	if t == nil {
		t = &topic{channel: channel, opened: make(chan struct{})}
		h.topics[channel] = t
		if h.conn == nil {
			t.lost = true
			t.open()
		} else {
			h.ask(ctx, channel)
		}
	}
	t.add(s)

	return t, nil
}

// leave ends a subscription, and with the last one of its channel that of the server.
func (h *hub) leave(ctx context.Context, t *topic, s *subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.remove(s) > 0 || h.topics[t.channel] != t {
		return
	}
	delete(h.topics, t.channel)
	h.send(ctx, func(ctx context.Context) error { return h.conn.Unsubscribe(ctx, t.channel) })
}

// connected reports whether there is a connection, as far as is known.
func (h *hub) connected() bool {
	h.mu.Lock()
	defer h.mu.Unlock()

	return h.conn != nil
}

func (h *hub) deliver(channel, payload string) {
	if channel == h.inbox {
		h.bus.calls.receive(payload)

		return
	}
	h.mu.Lock()
	t := h.topics[channel]
	h.mu.Unlock()
	if t != nil {
		t.deliver(&message{payload: payload})
	}
}

// confirmed notes that the server knows of a subscription.
func (h *hub) confirmed(channel string) {
	h.mu.Lock()
	h.asked[channel]--
	if h.asked[channel] > 0 { // it was ended and begun again meanwhile
		h.mu.Unlock()

		return
	}
	delete(h.asked, channel)
	t := h.topics[channel]
	lost := t != nil && t.lost
	if lost {
		t.lost = false
	}
	h.mu.Unlock()
	if lost {
		t.miss()
	}
	if t != nil {
		h.mu.Lock()
		t.open()
		h.mu.Unlock()
	}
}

// missed tells all subscriptions that something may have been missed.
func (h *hub) missed() {
	h.mu.Lock()
	topics := slices.Collect(maps.Values(h.topics))
	h.mu.Unlock()
	for _, t := range topics {
		t.miss()
	}
}

// close ends all subscriptions and waits for the delivery in progress.
func (h *hub) close() {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()

		return
	}
	h.closed = true
	close(h.ending)
	h.end()
	if h.conn != nil {
		_ = h.conn.Close() // nothing more is sent
	}
	h.mu.Unlock()
	h.tasks.Wait()
}
