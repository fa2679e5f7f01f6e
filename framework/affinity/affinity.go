package affinity

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Config says how a [Bus] prefers instances. Only Instance is required.
type Config struct {
	// Instance is the id of this one among those of the component, as package subjects defines it. Required.
	Instance string
	// TTL is for how long it is remembered who served a session last, in whole seconds. Defaults to 1 h.
	TTL time.Duration
	// Patience is how long the instance that served last may take to take a mailbox over. Defaults to 100 ms.
	Patience time.Duration
	// Logger gets what went wrong, at level debug. Defaults to none.
	Logger zerolog.Logger
}

// Bus is a bus on which the mailboxes of a component go to the instances that served their sessions last, as far as they
// work through buses of this kind. Everything else is that of the bus behind it.
//
// A mailbox costs one read of a key more than without; one that changes hands two requests between the two instances; and
// a session that moves to another instance one write.
type Bus struct {
	bus.Bus

	cfg Config

	mu     sync.Mutex
	offers map[string]*offer
	noted  map[string]time.Time // when this instance noted that it serves a session
}

// New returns a bus whose workers are the instance's. Closing it closes the bus behind it.
func New(b bus.Bus, cfg Config) *Bus {
	cfg.TTL = cmp.Or(max(cfg.TTL, 0), time.Hour)
	cfg.Patience = cmp.Or(max(cfg.Patience, 0), 100*time.Millisecond)

	return &Bus{Bus: b, cfg: cfg, offers: map[string]*offer{}, noted: map[string]time.Time{}}
}

// Work implements [bus.Mailbox]. The instance may work on a component once at a time.
func (b *Bus) Work(
	ctx context.Context, component string, cfg bus.WorkConfig, serve func(context.Context, bus.Claim),
) error {
	at := endpoint(component, b.cfg.Instance)

	stop, err := b.Serve(ctx, at, func(ctx context.Context, m *bus.Message, reply func(*bus.Message) error) error {
		return b.answer(ctx, component, m, reply)
	})
	if err != nil && ctx.Err() != nil {
		return nil // it ends because it was told to
	}

	if err != nil {
		return fmt.Errorf("work on %.80q: listen to other instances: %w", component, err)
	}
	defer stop()

	return b.Bus.Work(ctx, component, cfg, func(ctx context.Context, c bus.Claim) {
		if !b.passOn(ctx, component, c) {
			serve(ctx, c)
		}
	})
}

// passOn gives a claim to the instance that served its session last, and reports whether that has it now. If not, this
// instance serves it.
func (b *Bus) passOn(ctx context.Context, component string, c bus.Claim) bool {
	last, err := b.lastServed(ctx, component, c.Session())
	if err == nil && last.instance != "" && last.instance != b.cfg.Instance && b.offer(ctx, component, last.instance, c) {
		return true
	}

	if err == nil {
		err = b.note(ctx, last)
	}

	if err != nil && ctx.Err() == nil {
		b.cfg.Logger.Debug().Err(err).Str("component", component).Msg("could not learn or note who serves a session")
	}

	return false
}
