package natsbus

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/crew"
	"github.com/woodwork-go/woodwork/subjects"
)

const (
	// requestQueue is how many requests and what follows them may wait for their dispatch, which waits for nobody.
	requestQueue = 4 << 10
	// owedMost bounds what is to be told to the other side of broken calls once the connection is back.
	owedMost = 4 << 10
)

// calls carries requests both ways. What reaches this bus about a call has a subject of its own, numbered, on one
// subscription: replies to callers here, and to servers here that a caller is gone. All endpoints share one channel
// and one goroutine, which starts the handlers.
type calls struct {
	nc     *nats.Conn
	api    string // prefix of requests to the JetStream API
	prefix string // of what is about a call, with the last dot
	queue  chan *nats.Msg
	quit   chan struct{}
	ended  chan struct{}
	drop   func() // counts what is none of ours

	mu       sync.Mutex
	last     uint64
	outgoing map[uint64]*outgoing
	incoming map[uint64]*incoming
	byReply  map[string]*incoming // the same
	servers  map[*nats.Subscription]*server
	owed     []*nats.Msg
	closed   error
	running  sync.WaitGroup // handlers
	quitOnce sync.Once
}

func newCalls(nc *nats.Conn, api string, drop func()) (*calls, error) {
	c := &calls{
		nc: nc, api: api, prefix: nc.NewInbox() + ".", drop: drop,
		queue: make(chan *nats.Msg, requestQueue), quit: make(chan struct{}), ended: make(chan struct{}),
		outgoing: map[uint64]*outgoing{}, incoming: map[uint64]*incoming{}, byReply: map[string]*incoming{},
		servers: map[*nats.Subscription]*server{},
	}
	sub, err := nc.Subscribe(c.prefix+"*", c.receive)
	if err != nil {
		return nil, fmt.Errorf("subscribe to replies of calls: %w", err)
	}
	// What callers are behind is bounded, so this is, too.
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, fmt.Errorf("subscribe to replies of calls: %w", err)
	}
	go c.run()

	return c, nil
}

// subject returns what is to be sent to about call id.
func (c *calls) subject(id uint64) string { return c.prefix + strconv.FormatUint(id, 36) }

// receive hands what is about a call to it.
func (c *calls) receive(m *nats.Msg) {
	id, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, c.prefix), 36, 64)
	if err != nil {
		return
	}
	c.mu.Lock()
	out, in := c.outgoing[id], c.incoming[id]
	c.mu.Unlock()
	switch {
	case out != nil:
		if m.Header[headerProbe] == nil {
			out.receive(m)
		}
	case in != nil && noResponders(m):
		in.cancel(errCallerGone)
	}
}

// noResponders reports whether a message is the server's word that nobody listens to a subject.
func noResponders(m *nats.Msg) bool {
	return len(m.Data) == 0 && value(m.Header, headerStatus) == statusNoResponders
}

// run dispatches until close, and then what has arrived.
func (c *calls) run() {
	defer close(c.ended)
	for {
		select {
		case m := <-c.queue:
			c.dispatch(m)
		case <-c.quit:
			for len(c.queue) > 0 {
				c.dispatch(<-c.queue)
			}

			return
		}
	}
}

func (c *calls) dispatch(m *nats.Msg) {
	if call := value(m.Header, headerCall); call != "" {
		c.mu.Lock()
		in := c.byReply[call]
		c.mu.Unlock()
		if in != nil && in.subject == m.Subject {
			in.follow(m)
		}

		return
	}
	timeout, ok := timeoutOf(m)
	if !ok || !c.mayReply(m.Reply) {
		c.drop()

		return
	}
	if !c.begin(m, timeout) {
		end := &nats.Msg{Subject: m.Reply, Header: nats.Header{headerEnd: {endUnserved}}}
		setSeq(end, headerSeq, 1)
		c.tell(end)
	}
}

// mayReply reports whether a subject can be that of replies: one of the broker's or the application's own would make a
// handler's reply a command.
func (c *calls) mayReply(subject string) bool {
	return subject != "" && subject[0] != '$' && !strings.ContainsAny(subject, "*>") &&
		!strings.HasPrefix(subject, c.api) && !subjects.Ours(subject)
}

// tell sends what the other side should know. While the connection is broken it is kept, within bounds, until it is
// back.
func (c *calls) tell(m *nats.Msg) {
	if c.nc.PublishMsg(m) == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed == nil && len(c.owed) < owedMost {
		c.owed = append(c.owed, m)
	}
}

// reconnected tells what could not be told before.
func (c *calls) reconnected() {
	c.mu.Lock()
	owed := c.owed
	c.owed = nil
	c.mu.Unlock()
	for _, m := range owed {
		c.tell(m)
	}
}

// interrupt ends all calls, in both directions.
func (c *calls) interrupt(reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, out := range c.outgoing {
		out.end(reason)
	}
	for _, in := range c.incoming {
		in.cancel(reason)
	}
}

// denied ends the calls whose request the server refused to take.
func (c *calls) denied(subject string, reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, out := range c.outgoing {
		if out.subject == subject {
			out.end(reason)
		}
	}
}

// leave begins the end: no call starts any more and those under way end with reason.
func (c *calls) leave(reason error) {
	c.mu.Lock()
	first := c.closed == nil
	if first {
		c.closed = reason
	}
	open := make([]*outgoing, 0, len(c.outgoing))
	for _, out := range c.outgoing {
		open = append(open, out)
	}
	c.mu.Unlock()
	if !first {
		return
	}
	for _, out := range open {
		out.leave() // while there is a connection; Call itself may be late
	}
	c.interrupt(reason)
}

// close ends the dispatch and waits for it.
func (c *calls) close() {
	c.leave(bus.ErrClosed)
	c.quitOnce.Do(func() { close(c.quit) })
	<-c.ended
}

// closeCalls ends all calls and waits until the handlers have returned, but not for long: one that doesn't heed its
// context ends later. Requests that were on their way are answered that nobody serves them.
func (b *Bus) closeCalls(ctx context.Context) {
	b.calls.leave(bus.ErrClosed)
	b.calls.unsubscribe()
	crew.AwaitEnd(ctx, &b.calls.running)
	if b.nc.IsConnected() {
		_ = b.flush(ctx) // the one that follows reports what is wrong
	}
	b.calls.close()
}

// unsubscribe ends all endpoints. What the server sent before it knows of that still arrives.
func (c *calls) unsubscribe() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for sub := range c.servers {
		_ = sub.Drain() // fails on a closed connection only, which has no subscriptions
	}
}
