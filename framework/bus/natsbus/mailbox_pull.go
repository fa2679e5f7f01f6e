package natsbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

const (
	// pullShare of a lease is how long a request for mailboxes is open. A claim that is not renewed is handed out again
	// two thirds of a lease later at the earliest, so a process that was stopped has no request open by then.
	pullShare = 2
	// pullGrace is how much later the server may say that a request has expired before it is taken for forgotten.
	pullGrace = time.Second
	// pullsWaiting is how many workers may wait at once.
	pullsWaiting = 16384
	// handBack is how long a worker that ends looks for mailboxes that were on their way to it.
	handBack = 500 * time.Millisecond
)

// statusConflict is that of a request that ends because something changed.
const statusConflict = "409"

// puller asks the component's consumer for mailboxes. One request at a time is open.
type puller struct {
	w       *worker
	subject string // of requests
	sub     *nats.Subscription
	asked   time.Time // when the last request was sent
}

func (w *worker) newPuller(ctx context.Context) (*puller, error) {
	if err := w.makeConsumer(ctx); err != nil {
		return nil, err
	}

	b := w.bus
	p := &puller{
		w:       w,
		subject: b.apiPrefix + "CONSUMER.MSG.NEXT." + b.ns.TurnsStream() + "." + b.ns.Consumer(w.component),
	}

	if err := p.subscribe(); err != nil {
		return nil, err
	}

	return p, nil
}

// makeConsumer makes sure that the component's consumer is there. It is never deleted: scheduled mailboxes wait in it.
func (w *worker) makeConsumer(ctx context.Context) error {
	filter, err := w.bus.ns.ReadyFilter(w.component)
	if err != nil {
		return fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}

	cfg := jetstream.ConsumerConfig{
		Durable:       w.bus.ns.Consumer(w.component),
		Description:   "Woodwork: scheduled mailboxes of " + w.component,
		FilterSubject: filter,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       w.lease,
		MaxDeliver:    -1,
		MaxAckPending: -1,
		MaxWaiting:    pullsWaiting,
	}

	for attempt := 0; ; attempt++ {
		try, cancel := context.WithTimeout(ctx, createTimeout)
		_, err := w.bus.js.CreateOrUpdateConsumer(try, w.bus.ns.TurnsStream(), cfg)

		cancel()

		lost := errors.Is(err, jetstream.ErrStreamNotFound)
		if lost {
			w.bus.missed()
		}

		if err == nil || !lost && !transient(err) {
			return err
		}

		if wait := w.bus.pause(ctx, attempt); wait != nil {
			return wait
		}
	}
}

// subscribe begins with a new reply subject, so that an abandoned request can't bring more than was asked for.
func (p *puller) subscribe() error {
	if p.sub != nil {
		p.abandon(p.sub)
	}

	var err error
	if p.sub, err = p.w.bus.nc.SubscribeSync(p.w.bus.nc.NewInbox()); err != nil {
		return fmt.Errorf("subscribe to deliveries: %w", mapError(err))
	}

	return nil
}

// pull asks for n mailboxes and hands over those that come, until all did or the request ended.
func (p *puller) pull(ctx context.Context, n int, deliver func(*nats.Msg)) error {
	expires := p.w.lease / pullShare

	request, err := json.Marshal(struct {
		Batch   int           `json:"batch"`
		Expires time.Duration `json:"expires"`
	}{n, expires})
	if err != nil {
		return fmt.Errorf("ask for mailboxes: %w", err)
	}

	waiting, cancel := context.WithTimeout(ctx, expires+pullGrace)
	defer cancel()

	p.asked = time.Now()
	if err := p.w.bus.nc.PublishRequest(p.subject, p.sub.Subject, request); err != nil {
		return p.recover(ctx, mapError(err))
	}

	for n > 0 {
		m, err := p.next(waiting)
		if err != nil {
			return p.recover(ctx, err)
		}

		switch status := value(m.Header, headerStatus); {
		case status == "" || m.Subject != p.sub.Subject:
			n--
			p.w.hungry.Store(n > 0 && p.w.hungry.Load())
			deliver(m)
		case status == statusNoResponders, status == statusConflict && p.gone(m):
			p.w.hungry.Store(false)

			return p.w.restore(ctx)
		default:
			p.w.hungry.Store(status == statusTimeout)

			return nil
		}
	}

	return nil
}

// gone reports whether a status says that the consumer isn't there any more, in contrast to its leader having moved.
func (p *puller) gone(m *nats.Msg) bool {
	return strings.Contains(strings.ToLower(value(m.Header, "Description")), "consumer deleted")
}

// next waits for a message.
func (p *puller) next(ctx context.Context) (*nats.Msg, error) {
	m, err := p.sub.NextMsgWithContext(ctx)
	if errors.Is(err, nats.ErrNoResponders) { // the client turns the status into this error
		return &nats.Msg{Subject: p.sub.Subject, Header: nats.Header{headerStatus: {statusNoResponders}}}, nil
	}

	return m, err
}

// recover begins anew after a broken request, unless work is to end.
func (p *puller) recover(ctx context.Context, cause error) error {
	p.w.hungry.Store(false)

	if ctx.Err() != nil {
		return ctx.Err()
	}

	if errors.Is(cause, bus.ErrClosed) || errors.Is(cause, nats.ErrConnectionClosed) {
		return p.w.bus.closedError()
	}

	if err := p.w.bus.pause(ctx, 0); err != nil {
		return err
	}

	return p.subscribe()
}

// restore makes the consumer again where it has vanished. Mailboxes that were scheduled are delivered again.
func (w *worker) restore(ctx context.Context) error {
	if err := w.bus.pause(ctx, 1); err != nil {
		return err
	}

	return w.makeConsumer(ctx)
}

// close ends the request and gives back mailboxes that were already on their way.
func (p *puller) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handBack)
	defer cancel()

	if p.sub.Drain() != nil {
		return
	}

	for {
		m, err := p.sub.NextMsgWithContext(ctx)
		if err != nil {
			return
		}

		p.giveBack(m)
	}
}

// abandon ends a subscription that may hold mailboxes.
func (p *puller) abandon(sub *nats.Subscription) {
	for {
		m, err := sub.NextMsg(time.Nanosecond)
		if err != nil {
			break
		}

		p.giveBack(m)
	}

	_ = sub.Unsubscribe() // fails when the connection has ended, which ends it too
}

// giveBack ends a delivery that nobody serves, unless the lease may have given it to another worker by now, from whom
// it would be taken.
func (p *puller) giveBack(m *nats.Msg) {
	if strings.HasPrefix(m.Reply, "$JS.ACK.") && termUntil(p.asked.Add(p.w.lease)).left() > 0 {
		_ = p.w.bus.acknowledge(m.Reply, ackNone) // otherwise the lease gives it back
	}
}

// boxOf is the mailbox that a subject of its inbox or its register belongs to.
func (b *Bus) boxOf(subject string) (*box, error) {
	s, err := subjects.Parse(subject)
	if err != nil {
		return nil, fmt.Errorf("mailbox: %w", err)
	}

	return b.box(s.Component, s.Session)
}
