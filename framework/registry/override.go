package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// Override is what an operator has said about the circuit breakers of a target. Every instance that it is for obeys it,
// also one that starts later, until it is taken back or has expired.
type Override struct {
	// Target is the name of the breakers.
	Target string `json:"target"`
	// Component whose instances it is for; empty for all. One for a component comes before one for all.
	Component string `json:"component,omitempty"`
	// Mode says who decides.
	Mode breaker.Mode `json:"mode"`
	// Reason is for people; may be empty.
	Reason string `json:"reason,omitempty"`
	// Made is when it was said, by the clock of whoever said it.
	Made time.Time `json:"made"`
	// TTL is for how many seconds it holds, by the bus's clock; 0 holds until it is taken back.
	TTL int `json:"ttl_seconds,omitempty"`
}

// Bounds of an [Override], in bytes: every instance that obeys it repeats them with each heartbeat.
const (
	MaxTarget = 256
	MaxReason = 256
)

var (
	errMode   = errors.New("use open, closed or auto")
	errTarget = fmt.Errorf("use at most %d bytes", MaxTarget)
	errReason = fmt.Errorf("use at most %d bytes", MaxReason)
	errHolds  = errors.New("use 0 or more")
)

// Check reports what can't be used.
func (o *Override) Check() error {
	_, err := o.key()
	if len(o.Target) > MaxTarget {
		err = errors.Join(err, fmt.Errorf("target: %w", errTarget))
	}

	if !slices.Contains([]breaker.Mode{breaker.ForceOpen, breaker.ForceClosed, breaker.Auto}, o.Mode) {
		err = errors.Join(err, fmt.Errorf("mode %q: %w", o.Mode, errMode))
	}

	if len(o.Reason) > MaxReason {
		err = errors.Join(err, fmt.Errorf("reason: %w", errReason))
	}

	if o.TTL < 0 {
		err = errors.Join(err, fmt.Errorf("time to live of %d seconds: %w", o.TTL, errHolds))
	}

	return err
}

func (o *Override) key() (string, error) { return subjects.BreakerKey(o.Target, o.Component) }

// String names what it is about, for messages.
func (o *Override) String() string {
	if o.Component == "" {
		return o.Target
	}

	return o.Target + " in " + o.Component
}

// Overriding returns those overrides by target that hold in the instances of a component, or for who is none where it is
// "".
func Overriding(all []Override, component string) map[string]Override {
	holds := map[string]Override{}

	for _, o := range all {
		if _, better := holds[o.Target]; o.Component == component || o.Component == "" && !better {
			holds[o.Target] = o
		}
	}

	maps.DeleteFunc(holds, func(_ string, o Override) bool { return o.Mode == breaker.Auto })

	return holds
}

// decodeOverride reads an override. Fields that a newer program added are ignored.
func decodeOverride(e bus.KVEntry) (Override, error) {
	var o Override
	if err := json.Unmarshal(e.Value, &o); err != nil {
		return o, fmt.Errorf("decode override %s of the registry: %w", e.Key, err)
	}

	key, err := o.key()
	if err == nil && key != e.Key {
		err = errKey
	}

	if err := errors.Join(err, o.Check()); err != nil {
		return o, fmt.Errorf("decode override %s of the registry: %w", e.Key, err)
	}

	return o, nil
}

// Overrides yields what operators have said, ordered by target and component, now and after each change, until ctx ends.
// Who is slow misses what was replaced meanwhile, never what holds now; the same may be yielded again.
func (r *Registry) Overrides(ctx context.Context) iter.Seq[[]Override] {
	return func(yield func([]Override) bool) {
		for {
			all, changed := r.overrides()
			if ctx.Err() != nil || !yield(all) {
				return
			}

			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// overrides returns what operators have said, and what is closed when that changes.
func (r *Registry) overrides() ([]Override, <-chan struct{}) {
	r.mu.RLock()
	defer r.mu.RUnlock()

	all := make([]Override, 0, len(r.view.overrides))
	for _, o := range r.view.overrides {
		all = append(all, o)
	}

	slices.SortFunc(all, func(a, b Override) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Component, b.Component))
	})

	return all, r.changed
}
