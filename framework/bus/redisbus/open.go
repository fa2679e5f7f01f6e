package redisbus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/clock"
	"github.com/woodwork-go/woodwork/framework/bus/internal/crew"
	"github.com/woodwork-go/woodwork/framework/bus/internal/wire"
	"github.com/woodwork-go/woodwork/subjects"
)

const (
	// callTimeout bounds one try of a read or another call that isn't an append.
	callTimeout = time.Second
	// maxBody is the largest body of a frame or letter. A server takes more, but works on nothing else meanwhile.
	maxBody = 1 << 20
)

// Bus is a connection to Redis.
type Bus struct {
	cfg     Config
	log     zerolog.Logger
	client  redis.UniversalClient
	ns      subjects.Namespace
	info    atomic.Pointer[bus.Info]
	hub     *hub
	contact contact
	signals signals
	calls   *calls
	counts  wire.Counters
	life    life
	clock   *clock.Clock

	appendScript *script
	appender     *appender
	scripts      scripts // of mailboxes, keys and dead letters
	workers      crew.Set[*worker]

	closeOnce sync.Once
	closing   chan struct{}  // closed when Close begins
	running   sync.WaitGroup // goroutines of the bus, which end soon after closing
	done      chan struct{}  // closed when the bus is closed
}

// Open connects to the servers, checks that they can do what is needed, and returns the bus. It fails with a
// [*bus.DialError]: within DialTimeout when no server answers. From then on the bus reconnects by itself for as long as
// it is open. It silences the logger of the client library, which all its users in a process share and which writes to
// standard error: what matters of it reaches [Config].Logger.
func Open(ctx context.Context, cfg Config) (*Bus, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("open Redis bus: %w", err)
	}
	cfg = cfg.withDefaults()
	logging.Disable()
	b := &Bus{
		cfg: cfg, log: cfg.Logger, closing: make(chan struct{}), done: make(chan struct{}),
		appendScript: newScript("append", appendLua), signals: newSignals(), scripts: newScripts(),
	}
	b.appender = newAppender(b)
	b.clock = clock.New(b.askTime)
	if err := b.open(ctx); err != nil {
		b.shut(ctx)

		return nil, b.dialError(err)
	}

	return b, nil
}

func (b *Bus) open(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.DialTimeout)
	defer cancel()
	if b.ns, err = subjects.New(b.cfg.App, 0); err != nil {
		return err
	}
	if err := b.connect(ctx); err != nil {
		return err
	}
	process := rand.Text()
	inbox, err := b.ns.RedisReplies(process)
	if err != nil {
		return err
	}
	b.calls = newCalls(b, process)
	b.hub = newHub(b, inbox)
	if err := b.hub.start(ctx); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	b.checkLife(ctx)
	running := context.WithoutCancel(ctx)
	b.running.Go(func() { b.signals.send(running, b) })
	b.running.Go(func() { b.watchLife(running) })
	for range appendLanes {
		b.running.Go(func() { b.appender.run(running) })
	}
	info := b.Info()
	b.log.Debug().Str("url", info.URL).Str("durability", string(info.Durability)).Msg("bus open")

	return nil
}

// Info says which server this is and what it promises. The durability class is that of the last look: the bus looks
// again whenever it reconnected.
func (b *Bus) Info() bus.Info { return *b.info.Load() }

// Close ends the bus after what was sent has left the process, or when ctx ends. It is idempotent and waits for the
// bus's goroutines.
func (b *Bus) Close(ctx context.Context) error {
	b.shut(ctx)
	<-b.done

	return nil
}

// shut closes what is open, in any state of opening.
func (b *Bus) shut(ctx context.Context) {
	b.closeOnce.Do(func() {
		close(b.closing)
		b.contact.log.Close()
		b.workers.Close(ctx, bus.ErrClosed)
		if b.calls != nil {
			b.calls.close(ctx)
		}
		if b.hub != nil {
			b.hub.close()
		}
		b.running.Wait()
		if b.client != nil {
			_ = b.client.Close() // its connections are gone either way
		}
		close(b.done)
	})
}

func (b *Bus) isClosing() bool {
	select {
	case <-b.closing:
		return true
	default:
		return false
	}
}

// ready returns the error of a call that can't start.
func (b *Bus) ready(ctx context.Context) error {
	if b.isClosing() {
		return bus.ErrClosed
	}

	return ctx.Err()
}

var errNoServer = errors.New("no server answers")
