package natsbus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/synadia-io/orbit.go/natscontext"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/clock"
	"github.com/woodwork-go/woodwork/framework/bus/internal/connection"
	"github.com/woodwork-go/woodwork/framework/bus/internal/crew"
	"github.com/woodwork-go/woodwork/framework/bus/internal/wire"
	"github.com/woodwork-go/woodwork/subjects"
)

const (
	// apiTimeout bounds one try of a read or another request to the JetStream API.
	apiTimeout = time.Second
	// provisionTimeout bounds the making of JetStream streams, which on a cluster elect their leaders first.
	provisionTimeout = 30 * time.Second
	// apiInFlight bounds the requests to the API of one bus: a server that finds 10,000 queued drops them all.
	apiInFlight = 256
	// fetchesInFlight bounds the rounds of direct gets of one bus, of at most readWindow each: after a reconnect all
	// readers look at the log at once.
	fetchesInFlight = 64
	// headerReserve is what a message needs beside a frame's body.
	headerReserve = 16 << 10
)

// Bus is a connection to NATS JetStream.
type Bus struct {
	cfg       Config
	log       zerolog.Logger
	nc        *nats.Conn
	js        jetstream.JetStream
	ns        subjects.Namespace
	apiPrefix string // of requests to the JetStream API, with the last dot
	kvPrefix  string // of keys, with the last dot
	logNames  []string
	info      bus.Info
	link      connection.Log
	workers   crew.Set[*worker]
	keeper    keeper
	restored  broadcast // told when the connection was restored

	req      *requester
	follows  *follows
	signals  *signals
	calls    *calls
	ready    atomic.Pointer[Bus] // set when req, follows and calls are; handlers run before
	apiSlots chan struct{}
	fetches  chan struct{}
	refused  atomic.Pointer[error] // last permission violation
	counts   wire.Counters
	clock    *clock.Clock
	hidden   sync.Once     // the log says that tools don't see this instance
	insist   time.Duration // [bus.Insist]

	life      context.Context //nolint:containedctx // ends when Close begins
	endLife   context.CancelFunc
	closeOnce sync.Once
	closing   chan struct{} // closed when Close begins
	endOnce   sync.Once
	done      chan struct{} // closed when the connection is gone for good
	reason    error         // set before done is closed
}

var _ bus.Bus = (*Bus)(nil)

// Open connects to the servers, checks that they can do what is needed, makes the JetStream streams and buckets of the
// application that aren't there, and returns the bus. It fails with a [*bus.DialError]: within DialTimeout when no server
// answers. From then on the bus reconnects by itself for as long as it is open.
func Open(ctx context.Context, cfg Config) (*Bus, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("open NATS bus: %w", err)
	}
	cfg = cfg.withDefaults()
	b := &Bus{
		cfg: cfg, log: cfg.Logger, apiSlots: make(chan struct{}, apiInFlight), fetches: make(chan struct{}, fetchesInFlight),
		closing: make(chan struct{}), done: make(chan struct{}), insist: bus.Insist,
	}
	b.clock = clock.New(b.askTime)
	b.life, b.endLife = context.WithCancel(context.WithoutCancel(ctx))
	if err := b.open(ctx); err != nil {
		b.beginClose()
		b.abort()

		return nil, b.dialError(b.withRefusal(err))
	}

	return b, nil
}

func (b *Bus) open(ctx context.Context) error {
	if err := b.dial(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, provisionTimeout)
	defer cancel()
	have, err := b.provision(ctx)
	if err != nil {
		return err
	}
	b.info = b.describe(have)
	b.log.Debug().Str("url", b.info.URL).Int("replicas", have.replicas).
		Str("durability", string(b.info.Durability)).Msg("bus open")

	return nil
}

// dial connects and finds out whether the server will do.
func (b *Bus) dial(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.DialTimeout)
	defer cancel()
	nc, settings, err := b.connect(ctx)
	if err != nil {
		return err
	}
	b.nc = nc
	b.link.Up()
	if err := b.useJetStream(settings); err != nil {
		return err
	}
	if b.req, err = newRequester(nc); err != nil {
		return err
	}
	b.follows = newFollows(nc, liveBytes, b.decodeLive)
	b.signals = newSignals(nc)
	if b.calls, err = newCalls(nc, b.apiPrefix, func() { b.counts.Add(wire.ErrForeign) }); err != nil {
		return err
	}
	b.ready.Store(b)

	return b.checkServer(ctx)
}

// useJetStream sets up requests to the JetStream API where a context says it is.
func (b *Bus) useJetStream(s natscontext.Settings) (err error) {
	b.apiPrefix, b.kvPrefix = jetstream.DefaultAPIPrefix, "$KV."
	switch {
	case s.JSDomain != "":
		b.apiPrefix = "$JS." + s.JSDomain + ".API."
		b.js, err = jetstream.NewWithDomain(b.nc, s.JSDomain)
	case s.JSAPIPrefix != "":
		b.apiPrefix = strings.TrimSuffix(s.JSAPIPrefix, ".") + "."
		b.js, err = jetstream.NewWithAPIPrefix(b.nc, s.JSAPIPrefix)
	default:
		b.js, err = jetstream.New(b.nc)

		return err
	}
	b.kvPrefix = b.apiPrefix + b.kvPrefix

	return err
}

// describe makes what Info returns.
func (b *Bus) describe(have deployment) bus.Info {
	durability := map[bool]bus.Durability{false: bus.Local, true: bus.LocalSynced}
	if have.replicas > 1 {
		durability = map[bool]bus.Durability{false: bus.Fast, true: bus.Replicated}
	}
	url := b.nc.ConnectedUrlRedacted()
	if b.cfg.InProcess != nil {
		url = "in-process"
	}

	return bus.Info{
		Kind: "nats", URL: redact(url), Durability: durability[b.cfg.Synced], MaxBody: maxBody(b.nc), Retention: have.retention,
	}
}

// maxBody returns the largest body that the server of a connection takes, as it said when it was connected to last.
func maxBody(nc *nats.Conn) int {
	payload := int(nc.MaxPayload())

	return max(payload-headerReserve, payload/2)
}

// Info says which server this is and what it promises. MaxBody follows the server that is connected to.
func (b *Bus) Info() bus.Info {
	info := b.info
	info.MaxBody = maxBody(b.nc)

	return info
}

// Connection says how the connection to the server does. One that broke is restored, at another server where there are
// several.
func (b *Bus) Connection() bus.Connection { return b.link.Now() }

// Done returns a channel that is closed when the bus is closed or its connection is gone for good, which ends a
// service. A connection that only broke is restored.
func (b *Bus) Done() <-chan struct{} { return b.done }

// Err returns why the bus ended, an error that wraps [bus.ErrClosed], or nil while it is open.
func (b *Bus) Err() error {
	select {
	case <-b.done:
		return b.reason
	default:
		return nil
	}
}

// Close ends the bus after what was sent has left the process, or when ctx ends. It is idempotent and waits for the
// bus's goroutines.
func (b *Bus) Close(ctx context.Context) error {
	var err error
	b.closeOnce.Do(func() {
		b.beginClose()
		b.workers.Close(ctx, bus.ErrClosed)
		b.closeCalls(ctx)
		if b.nc.IsConnected() {
			err = b.flush(ctx)
		}
		b.abort()
	})
	<-b.done

	return err
}

// beginClose ends what waits.
func (b *Bus) beginClose() {
	close(b.closing)
	b.endLife()
	b.keeper.close()
}

func (b *Bus) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.DialTimeout)
	defer cancel()
	if err := b.nc.FlushWithContext(ctx); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("close NATS bus: %w", err)
	}

	return nil
}

// abort closes what is open, in any state of opening.
func (b *Bus) abort() {
	if b.nc != nil {
		b.nc.Close()
	}
	b.end(bus.ErrClosed)
	if b.follows != nil {
		b.follows.close()
	}
	if b.signals != nil {
		b.signals.close()
	}
	if b.calls != nil {
		b.calls.close()
	}
}

// end makes the bus end with a reason, once.
func (b *Bus) end(reason error) {
	b.endOnce.Do(func() {
		b.reason = reason
		b.link.Close()
		if b.requester() != nil {
			b.req.close(reason)
			b.calls.leave(reason)
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

func (b *Bus) closedError() error {
	if err := b.Err(); err != nil {
		return err
	}

	return bus.ErrClosed
}

func (b *Bus) requester() *requester {
	if b.ready.Load() == nil {
		return nil
	}

	return b.req
}

func (b *Bus) liveFollows() *follows {
	if b.ready.Load() == nil {
		return nil
	}

	return b.follows
}

// withRefusal adds the permission that the server denied, if it did, to an error that may be its consequence.
func (b *Bus) withRefusal(err error) error {
	if refused := b.refused.Load(); refused != nil {
		return fmt.Errorf("%w (%w)", err, *refused)
	}

	return err
}
