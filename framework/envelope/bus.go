package envelope

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/subjects"
)

// Config sets what a [Bus] does. The zero value works.
type Config struct {
	// SessionsOnly keeps the messages of sessions out of the application's log, which saves an append for each: only
	// subscribers of the session see them. Defaults to false.
	SessionsOnly bool
	// Backoff is how long a message whose handler failed waits at first; it doubles with each try, up to BackoffMax.
	// Default to 2 s and 60 s.
	Backoff    time.Duration
	BackoffMax time.Duration
	// Concurrency is how many mailboxes of a component are worked on at once. Defaults to 64.
	Concurrency int
	// Logger gets handlers that panicked. Defaults to none.
	Logger zerolog.Logger
}

// Bus carries messages over a bus. All methods may be called concurrently.
type Bus struct {
	bus   bus.Bus
	store *stream.Store
	cfg   Config
	stats stats

	// appends is held to append on condition of what a log holds, and shared by all other appends, which the store
	// keeps apart: one process must not have two in flight to one log.
	appends sync.RWMutex

	mu      sync.Mutex
	closed  bool
	subs    map[*Subscription]struct{}
	running sync.WaitGroup
}

// ErrClosed is what calls of a closed [Bus] fail with.
var ErrClosed = errors.New("the message bus is closed")

// New returns a bus of messages on b, which stays the caller's to close, after the bus of messages.
func New(b bus.Bus, cfg Config) *Bus {
	cfg.Backoff = cmp.Or(cfg.Backoff, 2*time.Second)
	cfg.BackoffMax = cmp.Or(cfg.BackoffMax, time.Minute)

	return &Bus{
		bus: b, cfg: cfg, store: stream.NewStore(b, b.Info(), stream.Config{}), subs: map[*Subscription]struct{}{},
		stats: stats{start: time.Now()},
	}
}

// Close ends all subscriptions and listeners, waits for the handlers in progress, and returns nil, or ctx's error when
// that ends first. Messages that are not handled stay for whoever comes next. It is idempotent.
func (b *Bus) Close(ctx context.Context) error {
	b.mu.Lock()
	b.closed = true

	for s := range b.subs {
		s.cancel(ErrClosed)
	}
	b.mu.Unlock()

	ended := make(chan struct{})

	go func() {
		defer close(ended)
		b.running.Wait()
		b.store.Close()
	}()

	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close message bus: %w", context.Cause(ctx))
	}
}

// Publish stores a message for everyone who subscribed to its type and returns it as it was stored: with its ID and all
// defaults. It returns after the bus stored it in its durability class. Publishing a message of ExactlyOnce again, with
// the same ID within a day, changes nothing; others are stored again.
//
// It fails with bus.ErrInvalid for a message that can't be published, bus.ErrTooLarge for one of more than two thirds of
// bus.Info.MaxBody, [ErrClosed], or the bus's error; then a message of a session may be in the log of the session only.
// Publish it again.
func (b *Bus) Publish(ctx context.Context, m Message) (Message, error) {
	m, body, err := b.prepare(ctx, m)
	if err == nil {
		err = b.publish(ctx, m, body)
	}

	if err != nil {
		b.stats.failed()

		return m, fmt.Errorf("publish %.40q of session %.64q: %w", m.EventType, m.Session, err)
	}

	b.stats.published()

	return m, nil
}

// prepare returns a message as it is stored.
func (b *Bus) prepare(ctx context.Context, m Message) (Message, []byte, error) {
	now := time.Now()

	m = m.stamped(now)
	if err := m.check(); err != nil {
		return m, nil, err
	}

	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()

	if closed {
		return m, nil, ErrClosed
	}

	there, err := b.bus.Now(ctx)
	if err != nil {
		return m, nil, err
	}

	m = m.moved(there.Sub(now))

	body, err := json.Marshal(m)
	if err != nil {
		return m, nil, fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}

	if most := largest(b.bus.Info()); most > 0 && len(body) > most {
		return m, nil, fmt.Errorf("%d bytes, of at most %d: %w", len(body), most, bus.ErrTooLarge)
	}

	return m, body, nil
}

// largest returns how large a message may be, as JSON: so that it can be set aside in the end, with the reason. A dead
// letter is larger than the letter in it, by a third on buses that write it as base64.
func largest(info bus.Info) int { return info.MaxBody / 3 * 2 }

func (b *Bus) publish(ctx context.Context, m Message, body []byte) error {
	logs := []bus.StreamID{eventLog("")}
	if m.Session != "" {
		logs = append([]bus.StreamID{eventLog(m.Session)}, logs...)
	}

	if m.Session != "" && b.cfg.SessionsOnly {
		logs = logs[:1]
	}

	for _, id := range logs {
		if err := b.store1(ctx, id, m, body); err != nil {
			return err
		}
	}

	return nil
}

func (b *Bus) store1(ctx context.Context, id bus.StreamID, m Message, body []byte) error {
	if m.Mode == ExactlyOnce {
		return b.storeOnce(ctx, id, m.ID, body)
	}

	b.appends.RLock()
	defer b.appends.RUnlock()

	_, err := b.store.Share(ctx, id, body)

	return err
}

// eventLog returns the log of a session's messages; "" is the application's.
func eventLog(session string) bus.StreamID {
	return bus.StreamID{Session: cmp.Or(session, subjects.AppSession), Stream: subjects.EventLog}
}

// queueDeleted is the event that ends the subscriptions of a session.
const queueDeleted = "_queue.deleted"

// CreateQueue makes sure that messages of a session can be stored and read. Nothing needs it: a session's log begins
// with its first message.
func (b *Bus) CreateQueue(ctx context.Context, session string) error {
	if err := checkSession(session); err != nil {
		return fmt.Errorf("create queue: %w", err)
	}

	if _, err := b.store.End(ctx, eventLog(session)); err != nil {
		return fmt.Errorf("create queue of session %s: %w", session, err)
	}

	return nil
}

// DeleteQueue ends every subscription of the session, here and elsewhere, with [ErrQueueDeleted], once it has read what
// came before. What is stored expires by age. A session whose queue was deleted can be used again.
func (b *Bus) DeleteQueue(ctx context.Context, session string) error {
	if err := checkSession(session); err != nil {
		return fmt.Errorf("delete queue: %w", err)
	}

	m := Message{Session: session, EventType: queueDeleted}.stamped(time.Now())

	body, err := json.Marshal(m)
	if err == nil {
		err = b.store1(ctx, eventLog(session), m, body)
	}

	if err != nil {
		return fmt.Errorf("delete queue of session %s: %w", session, err)
	}

	return nil
}

func checkSession(session string) error {
	if err := subjects.CheckID("session", session); err != nil {
		return fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}

	if subjects.Reserved(session) {
		return fmt.Errorf("session %q is reserved: %w", session, bus.ErrInvalid)
	}

	return nil
}

// run starts f in a goroutine that Close waits for.
func (b *Bus) run(s *Subscription, f func()) error {
	b.mu.Lock()
	defer b.mu.Unlock()

	if b.closed {
		return ErrClosed
	}

	b.subs[s] = struct{}{}
	b.running.Go(f)

	return nil
}

func (b *Bus) forget(s *Subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()

	delete(b.subs, s)
}
