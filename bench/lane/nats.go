package lane

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// NATS is a connection to a nats-server without anything in between.
type NATS struct {
	conn *nats.Conn
	js   jetstream.JetStream
	next int
}

// ConnectNATS connects, and makes the JetStream stream that the lanes share, with as many replicas as are asked for.
func ConnectNATS(ctx context.Context, url string, replicas int) (*NATS, error) {
	conn, err := nats.Connect(url)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}

	js, err := jetstream.New(conn)
	if err == nil {
		_, err = js.CreateStream(ctx, jetstream.StreamConfig{
			Name: "raw", Subjects: []string{"raw.log.>"}, Storage: jetstream.FileStorage, Replicas: replicas,
			RePublish: &jetstream.RePublish{Source: "raw.log.>", Destination: "raw.live.>"},
		})
	}

	if err != nil {
		conn.Close()

		return nil, fmt.Errorf("create JetStream stream: %w", err)
	}

	return &NATS{conn: conn, js: js}, nil
}

// Close ends the connection.
func (n *NATS) Close() { n.conn.Close() }

// Republished opens a lane of acknowledged publishes, received from a core subscription as the server republishes them.
func (n *NATS) Republished(context.Context) (Lane, error) {
	n.next++
	id := strconv.Itoa(n.next)

	sub, err := n.conn.SubscribeSync("raw.live." + id)
	if err == nil {
		err = n.conn.Flush()
	}

	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}

	return &republished{nats: n, subject: "raw.log." + id, sub: sub}, nil
}

type republished struct {
	nats    *NATS
	subject string
	sub     *nats.Subscription
}

// Send implements [Lane].
func (l *republished) Send(ctx context.Context, data []byte) error {
	_, err := l.nats.js.Publish(ctx, l.subject, data)

	return err //nolint:wrapcheck // the caller says which lane it was
}

// Receive implements [Lane].
func (l *republished) Receive(ctx context.Context) ([]byte, error) {
	m, err := l.sub.NextMsgWithContext(ctx)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller says which lane it was
	}

	return m.Data, nil
}

// Close implements [Lane].
func (l *republished) Close(context.Context) error {
	return l.sub.Unsubscribe() //nolint:wrapcheck // the caller says which lane it was
}

// asyncPending and asyncBytes bound what is published and not yet acknowledged; a JetStream stream refuses what comes
// when 128 MiB wait for it.
const (
	asyncPending = 4000
	asyncBytes   = 64 << 20
)

// Async returns the opener of lanes for messages of a size, with publishes whose acknowledgements are awaited together,
// received by an ordered consumer. A publish that fails ends the lane, as it would never be received.
func (n *NATS) Async(size int) Opener {
	return func(ctx context.Context) (Lane, error) { return n.async(ctx, min(asyncPending, asyncBytes/size)) }
}

func (n *NATS) async(ctx context.Context, pending int) (Lane, error) {
	n.next++
	subject := fmt.Sprint("raw.log.", n.next)
	publishing, fail := context.WithCancelCause(ctx)

	js, err := jetstream.New(n.conn, jetstream.WithPublishAsyncMaxPending(pending),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, _ *nats.Msg, err error) {
			fail(fmt.Errorf("publish: %w", err))
		}))
	if err != nil {
		return nil, fmt.Errorf("open JetStream: %w", err)
	}

	c, err := js.OrderedConsumer(ctx, "raw", jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	if err != nil {
		return nil, fmt.Errorf("open consumer: %w", err)
	}

	messages, err := c.Messages()
	if err != nil {
		return nil, fmt.Errorf("consume: %w", err)
	}

	return &async{js: js, subject: subject, messages: messages, publishing: publishing, fail: fail}, nil
}

type async struct {
	js         jetstream.JetStream
	subject    string
	messages   jetstream.MessagesContext
	publishing context.Context         //nolint:containedctx // it ends with the first publish that fails
	fail       context.CancelCauseFunc // ends publishing
}

// Send implements [Lane].
func (l *async) Send(ctx context.Context, data []byte) error {
	for {
		_, err := l.js.PublishAsync(l.subject, data)
		if !errors.Is(err, jetstream.ErrTooManyStalledMsgs) || ctx.Err() != nil { // it waited for acknowledgements in vain
			return err //nolint:wrapcheck // the caller says which lane it was
		}
	}
}

// Receive implements [Lane].
func (l *async) Receive(context.Context) ([]byte, error) {
	m, err := l.messages.Next(jetstream.NextContext(l.publishing))
	if err != nil {
		return nil, errors.Join(err, context.Cause(l.publishing))
	}

	return m.Data(), nil
}

// Close implements [Lane].
func (l *async) Close(context.Context) error {
	l.messages.Stop()
	defer l.fail(nil)

	select {
	case <-l.js.PublishAsyncComplete():
		return nil
	case <-time.After(time.Minute):
		return context.DeadlineExceeded
	}
}
