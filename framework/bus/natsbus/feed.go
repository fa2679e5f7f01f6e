package natsbus

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/woodwork-go/woodwork/framework/bus"
)

const (
	// feedBatch is how many entries a feed asks for at once, and feedExpires how long such a request is open.
	feedBatch   = 256
	feedExpires = 30 * time.Second
	// feedBeat is how often the server says on a quiet feed that its consumer is there; in feedSilence it says so twice.
	feedBeat    = time.Second
	feedSilence = 2500 * time.Millisecond
	// feedStatuses is room for what the server says beside entries while a request is open.
	feedStatuses = 64
	// feedMake bounds the making of a consumer: a cluster may give it to a server that has just gone, and never answer.
	feedMake = 2 * time.Second
	// feedIdle is how long the server keeps a consumer that nobody asks.
	feedIdle = 5 * time.Second
)

const (
	statusControl = "100"
	statusTimeout = "408" // a request has been open for as long as it was to be

	headerLastConsumer = "Nats-Last-Consumer"
)

// errFeedLost: the consumer or an entry is gone. What is there is to be read again.
var errFeedLost = errors.New("the consumer was lost")

// feed is the entries of some subjects of a JetStream stream: the last one of each, in the order of their sequences,
// then those that are stored. It ends with an error as soon as it may have missed something: at once when the connection
// was restored or the server says that the consumer is gone, and after feedSilence when nobody says anything. Its
// consumer is kept by one server, in memory.
type feed struct {
	bus      *Bus
	subject  string // of requests
	remove   string // the subject that deletes the consumer
	sub      *nats.Subscription
	queue    chan *nats.Msg
	restored <-chan struct{}

	left int    // entries to come for the open request
	seen uint64 // how many entries have come
}

// fed is one step of a feed.
type fed struct {
	entry *nats.Msg // nil: the server has said that there is nothing new
	seq   uint64
	last  bool // nothing was stored behind the entry when it was sent
}

// openFeed makes the consumer and reports whether the feed begins with no entry. restored is closed when the connection
// was restored.
func (b *Bus) openFeed(ctx context.Context, jsStream string, filters []string, restored <-chan struct{}) (*feed, bool, error) {
	name := rand.Text()
	f := &feed{
		bus: b, restored: restored, queue: make(chan *nats.Msg, feedBatch+feedStatuses),
		subject: b.apiPrefix + "CONSUMER.MSG.NEXT." + jsStream + "." + name,
		remove:  b.apiPrefix + "CONSUMER.DELETE." + jsStream + "." + name,
	}

	empty, err := f.makeConsumer(ctx, jsStream, name, filters)
	if err != nil {
		return nil, false, fmt.Errorf("make consumer: %w", err)
	}

	if f.sub, err = b.nc.ChanSubscribe(b.nc.NewInbox(), f.queue); err != nil {
		return nil, false, fmt.Errorf("subscribe to entries: %w", mapError(err))
	}

	return f, empty, nil
}

// makeConsumer reports whether there is nothing for the consumer to deliver.
func (f *feed) makeConsumer(ctx context.Context, jsStream, name string, filters []string) (bool, error) {
	request, err := json.Marshal(map[string]any{"stream_name": jsStream, "config": jetstream.ConsumerConfig{
		Name:              name,
		Description:       "Woodwork: a watch of " + f.bus.cfg.Name,
		FilterSubjects:    filters,
		DeliverPolicy:     jetstream.DeliverLastPerSubjectPolicy,
		AckPolicy:         jetstream.AckNonePolicy,
		InactiveThreshold: feedIdle,
		MemoryStorage:     true,
		Replicas:          1,
	}})
	if err != nil {
		return false, fmt.Errorf("encode: %w", err)
	}

	var got struct {
		answer

		Pending uint64 `json:"num_pending"`
	}

	try, cancel := context.WithTimeout(ctx, feedMake)
	defer cancel()

	err = f.bus.api(try, "CONSUMER.CREATE."+jsStream+"."+name, request, &got)
	if try.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", errFeedLost, err)
	}

	return got.Pending == 0, err
}

// close ends the feed. The consumer ends by itself when word of it gets lost.
func (f *feed) close() {
	_ = f.sub.Unsubscribe() // fails when the connection has ended, which ends it too

	_ = f.bus.req.begin(&nats.Msg{Subject: f.remove}, apiTimeout, func(*nats.Msg, error) {})
}

// next waits for what the server says next.
func (f *feed) next(ctx context.Context) (fed, error) {
	for {
		if f.left == 0 {
			if err := f.ask(); err != nil {
				return fed{}, err
			}
		}

		m, err := f.receive(ctx)
		if err != nil {
			return fed{}, err
		}

		switch status := value(m.Header, headerStatus); {
		case m.Subject != f.sub.Subject:
			return f.take(m)
		case status == statusControl:
			return fed{}, f.check(m)
		case status == statusTimeout:
			f.left = 0
		default:
			return fed{}, fmt.Errorf("%w: status %s %s", errFeedLost, status, value(m.Header, "Description"))
		}
	}
}

// ask requests the next entries.
func (f *feed) ask() error {
	request, err := json.Marshal(struct {
		Batch   int           `json:"batch"`
		Expires time.Duration `json:"expires"`
		Beat    time.Duration `json:"idle_heartbeat"`
	}{feedBatch, feedExpires, feedBeat})
	if err != nil {
		return fmt.Errorf("ask for entries: %w", err)
	}

	if err := f.bus.nc.PublishRequest(f.subject, f.sub.Subject, request); err != nil {
		return fmt.Errorf("ask for entries: %w", mapError(err))
	}

	f.left = feedBatch

	return nil
}

func (f *feed) receive(ctx context.Context) (*nats.Msg, error) {
	silence := time.NewTimer(feedSilence)
	defer silence.Stop()

	select {
	case m := <-f.queue:
		return m, nil
	case <-f.restored:
		return nil, fmt.Errorf("%w: the connection broke", errFeedLost)
	case <-silence.C:
		return nil, fmt.Errorf("%w: nothing was heard of it for %v", errFeedLost, feedSilence)
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-f.bus.closing:
		return nil, f.bus.closedError()
	case <-f.bus.done:
		return nil, f.bus.closedError()
	}
}

// take reads a delivered entry.
func (f *feed) take(m *nats.Msg) (fed, error) {
	meta, err := m.Metadata()
	if err != nil {
		return fed{}, fmt.Errorf("delivery: %w", err)
	}

	f.left--
	f.seen++

	if meta.Sequence.Consumer != f.seen {
		return fed{}, fmt.Errorf("%w: delivery %d follows %d", errFeedLost, meta.Sequence.Consumer, f.seen-1)
	}

	return fed{entry: m, seq: meta.Sequence.Stream, last: meta.NumPending == 0}, nil
}

// check compares what has come with what a heartbeat says was sent.
func (f *feed) check(heartbeat *nats.Msg) error {
	sent, ok := parseUint(value(heartbeat.Header, headerLastConsumer), 10)
	if ok && sent != f.seen {
		return fmt.Errorf("%w: %d of %d deliveries have come", errFeedLost, f.seen, sent)
	}

	return nil
}

// passing reports whether a feed that ended with err can be opened again.
func passing(err error) bool {
	return errors.Is(err, errFeedLost) || errors.Is(err, bus.ErrUnknown)
}
