package natsbus

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/wire"
)

const (
	// liveQueue is how many live frames of all streams may wait for the goroutine that counts their bytes, which does
	// nothing else.
	liveQueue = 2 << 10
	// checkEvery is how often subscriptions that overflowed are looked at again.
	checkEvery = time.Second
)

// Follow delivers the frames of a stream as they are stored; see [bus.Log]. Readers of one stream share a subscription
// and its entries, which they must not change. deliver must not call stop. In a cluster Follow waits until the log's
// leader knows of the subscription, for at most [Config].AppendTimeout. A frame can be lost without notice there: a leader
// may die between storing and republishing.
func (b *Bus) Follow(ctx context.Context, id bus.StreamID, deliver func(*bus.Entry)) (func(), error) {
	subject, err := b.ns.Live(id.Session, id.Stream)
	if err != nil {
		return nil, fmt.Errorf("follow: %w: %w", bus.ErrInvalid, err)
	}
	stop, err := b.follows.add(id, subject, deliver)
	if err != nil {
		return nil, fmt.Errorf("follow %s: %w", id, err)
	}
	b.settleInterest(ctx, id)

	return stop, nil
}

// decodeLive reads a republished frame, or returns nil for what is none.
func (b *Bus) decodeLive(id bus.StreamID, m *nats.Msg) *bus.Entry {
	seq, ok := parseUint(lastValue(m.Header, headerSequence), 10)
	if !ok {
		b.counts.Add(wire.ErrForeign)

		return nil
	}
	e, err := b.decode(id, seq, m.Header, m.Data)
	if err != nil {
		return nil
	}

	return e
}

// follows delivers live frames to readers. All subscriptions share one channel and two goroutines, of which one fills the
// backlog that the other delivers: a reader costs a few hundred bytes and nothing while its stream is quiet.
type follows struct {
	nc     *nats.Conn
	decode func(bus.StreamID, *nats.Msg) *bus.Entry
	queue  chan *nats.Msg
	behind *backlog
	quit   chan struct{}
	tasks  sync.WaitGroup

	mu     sync.Mutex
	topics map[string]*topic             // by subject
	bySub  map[*nats.Subscription]*topic // the same
	late   map[*topic]lateness           // overflowed
	closed bool
}

// topic is the readers of one stream.
type topic struct {
	id  bus.StreamID
	sub *nats.Subscription

	mu      sync.Mutex // held while delivering
	readers []*follower
}

// lateness is how a subscription's counts stood when its readers were told of an overflow.
type lateness struct {
	dropped   int
	delivered int64
}

type follower struct{ deliver func(*bus.Entry) }

func newFollows(nc *nats.Conn, most int, decode func(bus.StreamID, *nats.Msg) *bus.Entry) *follows {
	f := &follows{
		nc: nc, decode: decode,
		queue: make(chan *nats.Msg, liveQueue), behind: newBacklog(most), quit: make(chan struct{}),
		topics: map[string]*topic{}, bySub: map[*nats.Subscription]*topic{}, late: map[*topic]lateness{},
	}
	f.tasks.Go(f.fill)
	f.tasks.Go(f.run)

	return f
}

// add makes a reader. The server knows the subscription before anything that is asked on this connection later.
func (f *follows) add(id bus.StreamID, subject string, deliver func(*bus.Entry)) (func(), error) {
	r := &follower{deliver: deliver}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, bus.ErrClosed
	}
	t := f.topics[subject]
	if t == nil {
		sub, err := f.nc.ChanSubscribe(subject, f.queue)
		if err != nil {
			return nil, mapError(err)
		}
		// The subject of the subscription and the names in the id share one string.
		session, stream, _ := strings.Cut(sub.Subject[len(sub.Subject)-len(id.Session)-len(id.Stream)-1:], ".")
		t = &topic{id: bus.StreamID{Session: session, Stream: stream}, sub: sub}
		f.topics[sub.Subject] = t
		f.bySub[sub] = t
	}
	t.mu.Lock()
	t.readers = append(t.readers, r)
	t.mu.Unlock()

	return func() { f.remove(t, r) }, nil
}

// remove ends a reader, and the subscription with the last one. No delivery is under way when it returns.
func (f *follows) remove(t *topic, r *follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.readers = slices.DeleteFunc(t.readers, func(other *follower) bool { return other == r })
	if len(t.readers) > 0 || f.bySub[t.sub] == nil {
		return
	}
	delete(f.topics, t.sub.Subject)
	delete(f.bySub, t.sub)
	delete(f.late, t)
	_ = t.sub.Unsubscribe() // fails on a closed connection only, which has no subscriptions
}

// fill puts into the backlog what comes, until close.
func (f *follows) fill() {
	for {
		select {
		case m := <-f.queue:
			f.behind.push(m)
		case <-f.quit:
			return
		}
	}
}

// run delivers until close.
func (f *follows) run() {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	var frames []*nats.Msg
	for {
		select {
		case <-f.behind.wake:
			var dropped []*nats.Subscription
			frames, dropped = f.behind.take(frames)
			f.dispatch(frames, dropped)
			if len(frames) > 0 {
				f.behind.rouse() // these are done
			}
		case <-tick.C:
			f.tellLate()
		case <-f.quit:
			return
		}
	}
}

// dispatch delivers frames, then says of which subscriptions others were dropped behind them.
func (f *follows) dispatch(frames []*nats.Msg, dropped []*nats.Subscription) {
	for _, m := range frames {
		if t := f.topic(m.Sub); t != nil {
			if e := f.decode(t.id, m); e != nil {
				t.deliver(e)
			}
		}
		if f.ended() {
			return
		}
	}
	for _, sub := range dropped {
		if t := f.topic(sub); t != nil {
			t.deliver(nil)
		}
	}
}

func (f *follows) ended() bool {
	select {
	case <-f.quit:
		return true
	default:
		return false
	}
}

// topic returns the readers of a subscription, nil when there are none any more.
func (f *follows) topic(sub *nats.Subscription) *topic {
	f.mu.Lock()
	defer f.mu.Unlock()

	return f.bySub[sub]
}

func (t *topic) deliver(e *bus.Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.readers {
		r.deliver(e)
	}
}

// missed tells all readers that frames may have been missed.
func (f *follows) missed() {
	for _, t := range f.all() {
		t.deliver(nil)
	}
}

func (f *follows) all() []*topic {
	f.mu.Lock()
	defer f.mu.Unlock()
	topics := make([]*topic, 0, len(f.topics))
	for _, t := range f.topics {
		topics = append(topics, t)
	}

	return topics
}

// overflowed notes that frames of a subscription were dropped. The client reports only the first of a row of them, up
// to the next that it could deliver, so until then each check looks for more. It reports whether the subscription is
// one of live frames.
func (f *follows) overflowed(sub *nats.Subscription) bool {
	f.mu.Lock()
	t := f.bySub[sub]
	if t != nil {
		f.late[t] = lateness{}
	}
	f.mu.Unlock()
	if t == nil {
		return false
	}
	t.deliver(nil)

	return true
}

// tellLate tells the readers of overflowed subscriptions if more was dropped since they were told.
func (f *follows) tellLate() {
	f.mu.Lock()
	var tell []*topic
	for t, known := range f.late {
		dropped, err := t.sub.Dropped()
		delivered, _ := t.sub.Delivered()
		f.late[t] = lateness{dropped, delivered}
		switch {
		case err == nil && dropped != known.dropped:
			tell = append(tell, t)
		case err != nil || delivered != known.delivered:
			delete(f.late, t)
		}
	}
	f.mu.Unlock()
	for _, t := range tell {
		t.deliver(nil)
	}
}

// close ends the deliveries and waits for the one under way.
func (f *follows) close() {
	f.mu.Lock()
	closed := f.closed
	f.closed = true
	f.mu.Unlock()
	if !closed {
		close(f.quit)
	}
	f.tasks.Wait()
}
