package natsbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

var _ bus.DeadLetters = (*Bus)(nil)

// deadJSON is the body of a dead letter. Its ids are in the subject.
type deadJSON struct {
	Reason     string            `json:"reason"`
	At         time.Time         `json:"at"`
	Deliveries int               `json:"deliveries,omitempty"`
	Attempts   []bus.DeadAttempt `json:"attempts,omitempty"`
	Letter     []byte            `json:"letter"`
	Input      []byte            `json:"input,omitempty"`
	InputType  bus.DataType      `json:"input_type,omitempty"`
	Truncated  bool              `json:"truncated,omitempty"`
}

// Bury keeps a dead letter; see [bus.DeadLetters]. Each letter has a subject of its own, and what is published there
// must be the first: so it is kept once, whoever repeats it. It tries again unless the server refuses for good; see
// [bus.Bus].
func (b *Bus) Bury(ctx context.Context, d *bus.DeadLetter) error {
	subject, err := b.ns.Dead(d.Component, d.Session, d.ID)
	if err != nil {
		return fmt.Errorf("bury letter: %w: %w", bus.ErrInvalid, err)
	}
	m, err := encodeDead(subject, d)
	if err != nil {
		return fmt.Errorf("bury letter %s: %w", d.ID, err)
	}
	if len(m.Data) > maxBody(b.nc) {
		return fmt.Errorf("bury letter %s: %d bytes with its input: %w", d.ID, len(m.Data), bus.ErrTooLarge)
	}
	if err := b.bury(ctx, m); err != nil {
		return fmt.Errorf("bury letter %s: %w", d.ID, err)
	}

	return nil
}

func (b *Bus) bury(ctx context.Context, m *nats.Msg) error {
	expectLast(m, 0)
	for t := b.tries(); ; {
		_, err := b.publish(ctx, m)
		switch {
		case errors.Is(err, bus.ErrConflict):
			return nil // it is there
		case !errors.Is(err, bus.ErrBusy) && !errors.Is(err, bus.ErrUnknown):
			return err
		}
		if end := t.again(ctx, err); end != nil {
			return end
		}
	}
}

// Dead yields dead letters; see [bus.DeadLetters]. It reads one after the other from the leader.
func (b *Bus) Dead(ctx context.Context, component string) iter.Seq2[*bus.DeadLetter, error] {
	return func(yield func(*bus.DeadLetter, error) bool) {
		filter := b.ns.DeadWildcard()
		if component != "" {
			var err error
			if filter, err = b.ns.DeadFilter(component); err != nil {
				yield(nil, fmt.Errorf("list dead letters: %w: %w", bus.ErrInvalid, err))

				return
			}
		}
		if err := b.dead(ctx, filter, func(d *bus.DeadLetter) bool { return yield(d, nil) }); err != nil {
			yield(nil, fmt.Errorf("list dead letters: %w", err))
		}
	}
}

func (b *Bus) dead(ctx context.Context, filter string, yield func(*bus.DeadLetter) bool) error {
	for from := uint64(1); ; {
		m, err := b.nextMsg(ctx, b.ns.DeadStream(), filter, from)
		if err != nil || m == nil {
			return err
		}
		from = m.Seq + 1
		d, err := b.decodeDead(m)
		if err != nil {
			return err
		}
		if d != nil && !yield(d) {
			return nil
		}
	}
}

// Buried returns a dead letter; see [bus.DeadLetters]. It reads it from the leader.
func (b *Bus) Buried(ctx context.Context, l *bus.Letter) (*bus.DeadLetter, error) {
	var d *bus.DeadLetter
	m, err := b.deadMsg(ctx, l)
	if err == nil && m != nil {
		d, err = b.decodeDead(m)
	}
	if err == nil && d == nil {
		err = bus.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("get dead letter %.64q: %w", l.ID, err)
	}

	return d, nil
}

// Drop forgets a dead letter; see [bus.DeadLetters]. An entry's sequence alone doesn't say whose it is, so the entry is
// read first. No other one gets its sequence in between.
func (b *Bus) Drop(ctx context.Context, d *bus.DeadLetter) error {
	m, err := b.deadMsg(ctx, &d.Letter)
	if err == nil && m != nil {
		err = b.deleteMsg(ctx, b.ns.DeadStream(), m.Seq)
	}
	if err != nil {
		return fmt.Errorf("drop dead letter %.64q: %w", d.ID, err)
	}

	return nil
}

// deadMsg returns the entry of a dead letter that came from a listing, or nil when it is gone.
func (b *Bus) deadMsg(ctx context.Context, l *bus.Letter) (*stored, error) {
	subject, err := b.ns.Dead(l.Component, l.Session, l.ID)
	if err != nil || l.Position.Minor == 0 {
		return nil, fmt.Errorf("it did not come from a listing: %w", errors.Join(bus.ErrInvalid, err))
	}
	m, err := b.msgAt(ctx, b.ns.DeadStream(), l.Position.Minor)
	if err != nil || m == nil || m.Subject != subject {
		return nil, err
	}

	return m, nil
}

func encodeDead(subject string, d *bus.DeadLetter) (*nats.Msg, error) {
	body, err := json.Marshal(deadJSON{
		Reason: d.Reason, At: d.At.UTC(), Deliveries: d.Deliveries, Attempts: d.Attempts, Letter: d.Body,
		Input: d.Input, InputType: d.InputType, Truncated: d.Truncated,
	})
	if err != nil {
		return nil, fmt.Errorf("encode: %w: %w", bus.ErrInvalid, err)
	}
	m := &nats.Msg{Subject: subject, Data: body, Header: nats.Header{headerVersion: {protocolVersion}}}
	setTrace(m.Header, d.Trace)

	return m, nil
}

// decodeDead returns nil for what isn't ours, and fails for what a newer program wrote.
func (b *Bus) decodeDead(m *stored) (*bus.DeadLetter, error) {
	ours, err := b.checkVersion(m.Header)
	if err != nil {
		return nil, fmt.Errorf("dead letter at %d: %w", m.Seq, err)
	}
	if !ours {
		return nil, nil
	}
	var body deadJSON
	place, err := subjects.Parse(m.Subject)
	if err := errors.Join(err, json.Unmarshal(m.Data, &body)); err != nil {
		b.counts.Add(bus.ErrCorrupt)

		return nil, nil //nolint:nilerr // one that can't be read must not hide the others
	}

	return &bus.DeadLetter{
		Letter: bus.Letter{
			ID: place.Turn, Component: place.Component, Session: place.Session, Body: body.Letter,
			Trace: getTrace(m.Header), Deliveries: body.Deliveries, Position: bus.Position{Minor: m.Seq},
		},
		Reason: body.Reason, At: body.At, Attempts: body.Attempts,
		Input: body.Input, InputType: body.InputType, Truncated: body.Truncated,
	}, nil
}
