package framework

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/session"
)

// PostPolicy says how a new turn meets the earlier ones of its session that are not done. As text, on a command line or
// in a query, it is "queue", "interrupt" or "reject".
type PostPolicy int

// The policies.
const (
	// Queue lets the earlier turns finish first.
	Queue PostPolicy = iota
	// Interrupt cancels the earlier turns; the new one runs when they have ended, which is at once.
	Interrupt
	// Reject refuses the new turn with [ErrSessionBusy] while its component has a turn in the session that is not done.
	// A turn leaves its mailbox shortly after its readers saw its end, so a refusal waits for that for a tenth of a
	// second. Two turns that are posted at the same moment may both find the session at rest; then they run one after the
	// other.
	Reject
)

// ErrSessionBusy refuses a turn under [Reject]. Nothing was posted.
var ErrSessionBusy = errors.New("the session has a turn that is not done")

// errPolicy: the text names no policy.
var errPolicy = errors.New("use queue, interrupt or reject")

// policyNames are the policies as text, by their values.
func policyNames() []string {
	return []string{Queue: "queue", Interrupt: "interrupt", Reject: "reject"}
}

// MarshalText implements [encoding.TextMarshaler].
func (p PostPolicy) MarshalText() ([]byte, error) {
	names := policyNames()
	if p < 0 || int(p) >= len(names) {
		return nil, fmt.Errorf("policy %d: %w", int(p), errPolicy)
	}

	return []byte(names[p]), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *PostPolicy) UnmarshalText(text []byte) error {
	i := slices.Index(policyNames(), string(text))
	if i < 0 {
		return fmt.Errorf("policy %.40q: %w", text, errPolicy)
	}

	*p = PostPolicy(i)

	return nil
}

const (
	// settling is how long a turn that has just ended for its readers is given to leave its mailbox.
	settling = 100 * time.Millisecond
	// look is how often the mailbox is looked into meanwhile.
	look = 5 * time.Millisecond
)

// admit returns [ErrSessionBusy] where the turn's policy refuses it.
func (c *Client) admit(ctx context.Context, p Post) error {
	if p.Policy != Reject {
		return nil
	}

	for begun := time.Now(); time.Since(begun) < settling; {
		l, err := c.bus.Peek(ctx, p.Component, p.Session)
		if err != nil {
			return fmt.Errorf("look for earlier turns: %w", err)
		}

		if l == nil || l.ID == p.ID {
			return nil
		}

		if err := pause(ctx, look); err != nil {
			return err
		}
	}

	return c.again(ctx, p)
}

// again returns nil for a turn that was posted before: it was admitted then.
func (c *Client) again(ctx context.Context, p Post) error {
	end, err := c.store.End(ctx, bus.StreamID{Session: p.Session, Stream: p.ID})
	if err != nil {
		return fmt.Errorf("look for an earlier post: %w", err)
	}

	if end == (bus.Cursor{}) {
		return ErrSessionBusy
	}

	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx) //nolint:wrapcheck // the caller's own reason
	}
}

// reasonInterrupted is what readers of an interrupted answer are told.
const reasonInterrupted = "interrupted by a newer prompt"

// mark returns the place of a new turn in the session's control log, behind the cancel of the earlier ones where the
// turn interrupts them.
func (c *Client) mark(ctx context.Context, p Post) (session.Place, error) {
	if p.Policy != Interrupt {
		return session.Mark(ctx, c.store, p.Session)
	}

	return session.Post(ctx, c.store, p.Session, session.Cancel{Reason: reasonInterrupted})
}
