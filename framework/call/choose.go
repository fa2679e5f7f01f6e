package call

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/internal/rendezvous"
)

// Directory knows which instances are there. It answers from memory. Its methods may be called concurrently.
type Directory interface {
	// Ready returns the instances that take work, of a component or with a capability or both; what is empty does not
	// matter. The caller may change what it gets.
	Ready(component, capability string) []Instance
	// Has reports whether an instance is there, in whatever state.
	Has(instance bus.Endpoint) bool
}

// Instance is one that can be called.
type Instance struct {
	// Endpoint is where.
	Endpoint bus.Endpoint
	// Running is how much work it had when it last said so, and Limit how much it takes at once; 0 when it did not say.
	Running, Limit int
}

// share is how busy an instance is, with what is under way to it from here, of which it may not have told yet.
func (i Instance) share(underWay int) float64 {
	return float64(i.Running+underWay) / float64(max(i.Limit, 1))
}

// choose returns the instance for the next try and the leave of its breaker.
func (f *flight) choose() (bus.Endpoint, *breaker.Permit, error) {
	ready := f.client.dir.Ready(f.request.Component, f.request.Capability)
	if len(ready) == 0 {
		return bus.Endpoint{}, nil, ErrNoInstance
	}

	left := slices.DeleteFunc(ready, func(i Instance) bool { return f.refused[i.Endpoint] })
	if len(left) == 0 {
		return bus.Endpoint{}, nil, errExhausted
	}

	if fresh := slices.DeleteFunc(slices.Clone(left), func(i Instance) bool { return f.failed[i.Endpoint] }); len(fresh) > 0 {
		left = fresh
	}

	return f.admitted(left)
}

// admitted returns the best of the candidates whose breaker admits a call. Where none does, the first one's says why.
func (f *flight) admitted(candidates []Instance) (bus.Endpoint, *breaker.Permit, error) {
	first := candidates[0].Endpoint
	admitting := slices.DeleteFunc(candidates, func(i Instance) bool {
		return !f.client.breakers.For(i.Endpoint.String()).Admits()
	})

	for len(admitting) > 0 {
		n := f.best(admitting)

		to := admitting[n].Endpoint
		if permit, err := f.client.breakers.For(to.String()).Allow(); err == nil {
			return to, permit, nil
		}

		admitting = slices.Delete(admitting, n, n+1) // another call took the last probe
	}

	permit, err := f.client.breakers.For(first.String()).Allow()
	if err != nil {
		err = fmt.Errorf("each instance of %s: %w", f.request.target(), err)
	}

	return first, permit, err
}

// best returns the index of the session's own instance, if the request prefers that and it has room, else of the less
// loaded of two that are drawn by chance.
func (f *flight) best(candidates []Instance) int {
	if f.request.Sticky && f.request.Session != "" {
		if own := rendezvous.Pick(f.request.Session, candidates, name); f.share(candidates[own]) < 1 || candidates[own].Limit == 0 {
			return own
		}
	}

	a, b := rand.IntN(len(candidates)), rand.IntN(len(candidates))
	if a == b {
		b = (b + 1) % len(candidates)
	}

	if f.share(candidates[b]) < f.share(candidates[a]) {
		return b
	}

	return a
}

func (f *flight) share(i Instance) float64 { return i.share(f.client.underWay(i.Endpoint)) }

func name(i Instance) string { return i.Endpoint.String() }
