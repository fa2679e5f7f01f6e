package framework

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/registry"
)

// obedience makes circuit breakers do what operators say in the registry.
type obedience struct {
	log       zerolog.Logger
	calls     *breaker.Set // of what the client calls
	component string       // whose breakers they are; empty for a program that is no component
	own       *breaker.Set // of the service's own; nil when it has none
	tell      func()       // called after a change; nil for nobody

	holds map[string]registry.Override // by target
	begun chan struct{}                // closed when the breakers do what was said before, or never will
}

func newObedience(log zerolog.Logger, calls *breaker.Set) *obedience {
	return &obedience{log: log, calls: calls, begun: make(chan struct{})}
}

// serve makes the breakers those of a service, with its own among them. It may be used before follow only.
func (o *obedience) serve(s *Service, tell func()) {
	o.component, o.tell = s.Name, tell

	if s.Breakers != nil {
		o.own = s.Breakers()
	}
}

// follow obeys until ctx ends.
func (o *obedience) follow(ctx context.Context, r *registry.Registry) {
	begun := sync.OnceFunc(func() { close(o.begun) })
	defer begun()

	if r.Wait(ctx) != nil {
		return
	}

	for all := range r.Overrides(ctx) {
		o.obey(registry.Overriding(all, o.component))
		begun()
	}
}

// obey forces the breakers for which something else holds now.
func (o *obedience) obey(now map[string]registry.Override) {
	before := o.holds
	o.holds = now

	targets, changed := maps.Clone(now), false
	maps.Copy(targets, before)

	for _, target := range slices.Sorted(maps.Keys(targets)) {
		was, is := before[target], now[target]
		if was.Mode == is.Mode && was.Reason == is.Reason {
			continue
		}

		changed = true

		o.force(target, is)
	}

	if changed && o.tell != nil {
		o.tell()
	}
}

func (o *obedience) force(target string, is registry.Override) {
	mode := is.Mode
	if mode == "" {
		mode = breaker.Auto
	}

	o.log.Info().Str("target", target).Str("mode", string(mode)).Str("reason", is.Reason).
		Msg("an operator decides about a circuit breaker")
	o.calls.Force(target, mode, is.Reason)

	if o.own != nil {
		o.own.Force(target, mode, is.Reason)
	}
}

// statuses are those of all breakers, by name within each set.
func (o *obedience) statuses() []breaker.Status {
	all := o.calls.Statuses()
	if o.own != nil {
		all = append(all, o.own.Statuses()...)
	}

	return all
}

// heedTimeout is how long an instance waits for what operators have said before it works without.
const heedTimeout = 5 * time.Second

// heed returns when the service's own breakers, if it has any, do what operators have said. An instance works as well
// while the registry does not answer, and obeys when it does.
func (c *Client) heed(ctx context.Context) {
	if c.obedience.own == nil {
		return
	}

	waiting, cancel := context.WithTimeout(ctx, heedTimeout)
	defer cancel()

	if _, err := c.Registry(waiting); err != nil && ctx.Err() == nil {
		c.log.Warn().Err(err).Msg("what operators say about circuit breakers is not known yet")
	}
}
