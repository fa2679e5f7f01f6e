package envelope

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

const (
	// onceFor is how long a message that was published once is known.
	onceFor = 24 * time.Hour
	// onceTries and oncePause bound how long a message is tried to be stored while others come first.
	onceTries = 200
	oncePause = 5 * time.Millisecond
)

// storeOnce appends a message unless the log holds it: each try looks at what came since the first try of anyone, which
// a key remembers, and appends on condition that nothing came since.
func (b *Bus) storeOnce(ctx context.Context, id bus.StreamID, message string, body []byte) error {
	from, err := b.firstTry(ctx, id, message)
	if err != nil {
		return err
	}

	f := &bus.Frame{
		ID: id, Attempt: 1, Writer: rand.Text(), Type: bus.JSON, Lengths: []int{len(body)}, Body: body,
	}

	for range onceTries {
		if err = b.tryOnce(ctx, f, from, message); err == nil || !passing(err) {
			return err
		}

		if err := pause(ctx, oncePause); err != nil {
			return err
		}
	}

	return fmt.Errorf("given up after %d tries: %w", onceTries, err)
}

// tryOnce appends a message unless the log holds it.
func (b *Bus) tryOnce(ctx context.Context, f *bus.Frame, from bus.Cursor, message string) error {
	b.appends.Lock()
	defer b.appends.Unlock()

	last, err := b.bus.Last(ctx, f.ID)
	if err != nil {
		return err
	}

	found, err := b.holds(ctx, last, from, message)
	if err != nil || found {
		return err
	}

	f.GoBehind(last)

	_, err = b.bus.Append(ctx, f, last)

	return err
}

// passing reports whether an outcome may be another one at the next try.
func passing(err error) bool {
	return errors.Is(err, bus.ErrConflict) || errors.Is(err, bus.ErrBusy) || errors.Is(err, bus.ErrUnknown)
}

// firstTry returns where the log ended when the message was first tried to be published.
func (b *Bus) firstTry(ctx context.Context, id bus.StreamID, message string) (bus.Cursor, error) {
	key, err := subjects.PublishedKey(id.Session, message)
	if err != nil {
		return bus.Cursor{}, fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}

	for {
		e, err := b.bus.Get(ctx, bus.Sessions, key)
		if err == nil {
			return bus.ParseCursor(string(e.Value))
		}

		if !errors.Is(err, bus.ErrNotFound) {
			return bus.Cursor{}, err
		}

		end, err := b.store.End(ctx, id)
		if err != nil {
			return bus.Cursor{}, err
		}

		_, err = b.bus.Set(ctx, bus.Sessions, key, []byte(end.String()), 0, onceFor)
		if err == nil {
			return end, nil
		}

		if !passing(err) {
			return bus.Cursor{}, err
		}

		if err := pause(ctx, oncePause); err != nil {
			return bus.Cursor{}, err
		}
	}
}

// holds reports whether a log has a message from a place on.
func (b *Bus) holds(ctx context.Context, last *bus.Entry, from bus.Cursor, message string) (bool, error) {
	switch {
	case last == nil:
		return false, nil
	case !from.Alive(last.Life): // the log has begun anew since
		from = bus.Cursor{}
	case !from.Before(last.End()):
		return false, nil
	}

	for e, err := range b.bus.Read(ctx, last, from) {
		if err != nil {
			return false, err
		}

		var head struct {
			ID string `json:"message_id"`
		}
		if json.Unmarshal(e.Body, &head) == nil && head.ID == message {
			return true, nil
		}
	}

	return false, nil
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
