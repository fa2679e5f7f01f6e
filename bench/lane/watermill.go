package lane

import (
	"context"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-nats/v2/pkg/nats"
	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
	natsgo "github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"
)

// Watermill opens topics through a publisher and a subscriber of Watermill.
type Watermill struct {
	publisher  message.Publisher
	subscriber message.Subscriber
	topic      string
	next       int
}

// WatermillNATS connects Watermill to JetStream: asynchronous acknowledgements, one subscriber goroutine for each topic
// because order is asked for, and no de-duplication by message id.
func WatermillNATS(url string) (*Watermill, error) {
	js := nats.JetStreamConfig{
		AutoProvision: true, AckAsync: true,
		SubscribeOptions: []natsgo.SubOpt{natsgo.DeliverAll(), natsgo.AckExplicit()},
	}
	marshaler := &nats.NATSMarshaler{}

	publisher, err := nats.NewPublisher(nats.PublisherConfig{URL: url, Marshaler: marshaler, JetStream: js}, watermill.NopLogger{})
	if err != nil {
		return nil, fmt.Errorf("open Watermill's publisher: %w", err)
	}

	subscriber, err := nats.NewSubscriber(nats.SubscriberConfig{
		URL: url, Unmarshaler: marshaler, JetStream: js, SubscribersCount: 1, AckWaitTimeout: 30 * time.Second,
	}, watermill.NopLogger{})
	if err != nil {
		return nil, fmt.Errorf("open Watermill's subscriber: %w", err)
	}

	return &Watermill{publisher: publisher, subscriber: subscriber, topic: "watermill"}, nil
}

// WatermillRedis connects Watermill to Redis Streams in fan-out mode, which needs no consumer group. Each side has its
// own client, which it closes.
func WatermillRedis(addr string) (*Watermill, error) {
	publisher, err := redisstream.NewPublisher(redisstream.PublisherConfig{
		Client: redis.NewClient(&redis.Options{Addr: addr}),
	}, watermill.NopLogger{})
	if err != nil {
		return nil, fmt.Errorf("open Watermill's publisher: %w", err)
	}

	subscriber, err := redisstream.NewSubscriber(redisstream.SubscriberConfig{
		Client:         redis.NewClient(&redis.Options{Addr: addr}),
		FanOutOldestId: "0", DisableIndefiniteInitialBlock: true,
	}, watermill.NopLogger{})
	if err != nil {
		return nil, fmt.Errorf("open Watermill's subscriber: %w", err)
	}

	return &Watermill{publisher: publisher, subscriber: subscriber, topic: "watermill"}, nil
}

// Close ends both.
func (w *Watermill) Close() error {
	if err := w.publisher.Close(); err != nil {
		return fmt.Errorf("close Watermill's publisher: %w", err)
	}

	if err := w.subscriber.Close(); err != nil {
		return fmt.Errorf("close Watermill's subscriber: %w", err)
	}

	return nil
}

// Open opens a lane: a topic with one subscriber.
func (w *Watermill) Open(ctx context.Context) (Lane, error) {
	w.next++
	topic := fmt.Sprint(w.topic, "-", w.next)
	ctx, cancel := context.WithCancel(ctx)

	messages, err := w.subscriber.Subscribe(ctx, topic)
	if err != nil {
		cancel()

		return nil, fmt.Errorf("subscribe with Watermill: %w", err)
	}

	return &topicLane{publisher: w.publisher, topic: topic, messages: messages, cancel: cancel}, nil
}

type topicLane struct {
	publisher message.Publisher
	topic     string
	messages  <-chan *message.Message
	cancel    context.CancelFunc
}

// Send implements [Lane].
func (l *topicLane) Send(_ context.Context, data []byte) error {
	//nolint:wrapcheck // the caller says which lane it was
	return l.publisher.Publish(l.topic, message.NewMessage(watermill.NewUUID(), data))
}

// Receive implements [Lane].
func (l *topicLane) Receive(ctx context.Context) ([]byte, error) {
	select {
	case m := <-l.messages:
		m.Ack()

		return m.Payload, nil
	case <-ctx.Done():
		return nil, ctx.Err() //nolint:wrapcheck // the caller's own context
	}
}

// Close implements [Lane].
func (l *topicLane) Close(context.Context) error {
	l.cancel()

	for range l.messages { // it is closed when the subscriber has let go
	}

	return nil
}
