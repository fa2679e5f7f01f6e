package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// Override says who decides about the circuit breakers of a target, in place of what was said before for the same
// component; what is said for all components takes the place of what was said for single ones, too. Mode Auto takes it
// back. It returns after the bus stored it, and fails with [bus.ErrUnknown] when it can't be said whether it was stored:
// repeat it, which does no harm.
func (r *Registry) Override(ctx context.Context, o Override) error {
	if err := o.Check(); err != nil {
		return fmt.Errorf("override: %w", err)
	}

	if err := r.decide(ctx, o); err != nil {
		return fmt.Errorf("override the breakers of %s: %w", &o, err)
	}

	return nil
}

func (r *Registry) decide(ctx context.Context, o Override) error {
	others, err := r.others(ctx, o)
	if err != nil {
		return err
	}

	// An exception from what is said for all has to be there to be seen.
	if o.Mode != breaker.Auto || o.Component != "" && len(others) > 0 {
		err = r.store(ctx, o)
	} else {
		err = r.remove(ctx, o)
	}

	if o.Component != "" {
		return err
	}

	for _, other := range others {
		err = errors.Join(err, r.remove(ctx, other))
	}

	return err
}

// others returns what else was said of an override's target: for single components where it is for all, and for all where
// it is for one.
func (r *Registry) others(ctx context.Context, o Override) ([]Override, error) {
	var found []Override

	for e, err := range r.kv.Watch(ctx, bus.Registry, subjects.BreakerPrefix()) {
		if err != nil {
			return nil, err
		}

		if e.Kind == bus.KVSynced {
			return found, nil
		}

		other, err := decodeOverride(e.Entry) // what can't be read is told by whoever follows the registry
		if err == nil && other.Target == o.Target && (other.Component == "") != (o.Component == "") {
			found = append(found, other)
		}
	}

	return nil, context.Cause(ctx)
}

// tries is how often a change is tried whose outcome is unknown, or that another one was faster than.
const tries = 5

func (r *Registry) store(ctx context.Context, o Override) error {
	if o.Made.IsZero() {
		o.Made = time.Now().UTC()
	}

	key, err := o.key()
	if err != nil {
		return err
	}

	value, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}

	for range tries {
		there, getErr := r.kv.Get(ctx, bus.Registry, key)
		if getErr == nil && bytes.Equal(there.Value, value) { // by an earlier try
			return nil
		}

		if getErr != nil && !errors.Is(getErr, bus.ErrNotFound) {
			return errors.Join(err, getErr)
		}

		_, err = r.kv.Set(ctx, bus.Registry, key, value, there.Revision, time.Duration(o.TTL)*time.Second)
		if err = interrupted(ctx, err); !errors.Is(err, bus.ErrUnknown) && !errors.Is(err, bus.ErrConflict) {
			return err
		}
	}

	return err
}

func (r *Registry) remove(ctx context.Context, o Override) error {
	key, err := o.key()
	if err != nil {
		return err
	}

	for range tries {
		err = r.kv.Delete(ctx, bus.Registry, key, 0)
		if err = interrupted(ctx, err); !errors.Is(err, bus.ErrUnknown) {
			return err
		}
	}

	return err
}

// interrupted says of a change that failed because its context ended that its outcome is unknown.
func interrupted(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || errors.Is(err, bus.ErrUnknown) {
		return err
	}

	return fmt.Errorf("%w: %w", bus.ErrUnknown, err)
}
