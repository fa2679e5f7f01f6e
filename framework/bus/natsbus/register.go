package natsbus

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/wire"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus/internal/mailbox"
)

// headerTurn is a letter's id. The rest of a letter is in its subject, its trace headers and its body.
const headerTurn = "Ww-Turn"

// The states of a register as they are written.
const (
	stateScheduled = "scheduled"
	stateIdle      = "idle"
)

// registerJSON is the body of an entry of a register.
type registerJSON struct {
	State  string `json:"state"`
	On     uint64 `json:"on,omitempty"`
	Mark   uint64 `json:"mark,omitempty"`
	Before int    `json:"before,omitempty"`
}

var _ mailbox.Store = (*box)(nil)

// Last implements [mailbox.Store].
func (x *box) Last(ctx context.Context) (mailbox.Entry, error) {
	m, err := x.bus.lastMsg(ctx, x.bus.ns.TurnsStream(), x.register)
	if err != nil || m == nil {
		return mailbox.Entry{}, err
	}

	return x.bus.decodeRegister(m.Seq, m.Header, m.Data)
}

// First implements [mailbox.Store].
func (x *box) First(ctx context.Context, log mailbox.Log, from uint64) (mailbox.Entry, error) {
	m, err := x.bus.nextMsg(ctx, x.bus.ns.TurnsStream(), x.subject(log), from)
	if err != nil || m == nil {
		return mailbox.Entry{}, err
	}

	if log == mailbox.Register {
		return x.bus.decodeRegister(m.Seq, m.Header, m.Data)
	}

	return x.decodeLetter(m)
}

// Append implements [mailbox.Store].
func (x *box) Append(ctx context.Context, log mailbox.Log, e mailbox.Entry, on mailbox.Condition) (uint64, error) {
	m := &nats.Msg{Subject: x.subject(log), Header: nats.Header{headerVersion: []string{protocolVersion}}}

	if log == mailbox.Inbox {
		encodeLetter(m, e.Letter)
	} else if err := encodeRegister(m, e); err != nil {
		return 0, err
	}

	if on.Log == log {
		expectLast(m, on.Last)
	} else {
		expectLastOf(m, x.subject(on.Log), on.Last)
	}

	return x.bus.publish(ctx, m)
}

// Delete implements [mailbox.Store].
func (x *box) Delete(ctx context.Context, seq uint64) error {
	return x.bus.deleteMsg(ctx, x.bus.ns.TurnsStream(), seq)
}

func (x *box) subject(log mailbox.Log) string {
	if log == mailbox.Inbox {
		return x.inbox
	}

	return x.register
}

func encodeLetter(m *nats.Msg, l *bus.Letter) {
	m.Data = l.Body
	m.Header[headerTurn] = []string{l.ID}
	setTrace(m.Header, l.Trace)
}

// decodeLetter returns an entry without a letter for what isn't ours, and fails for what a newer program wrote.
func (x *box) decodeLetter(m *stored) (mailbox.Entry, error) {
	ours, err := x.bus.checkVersion(m.Header)
	if err != nil {
		return mailbox.Entry{}, fmt.Errorf("letter at %d: %w", m.Seq, err)
	}

	if !ours || value(m.Header, headerTurn) == "" {
		return mailbox.Entry{Seq: m.Seq}, nil
	}

	return mailbox.Entry{Seq: m.Seq, Letter: &bus.Letter{
		ID: value(m.Header, headerTurn), Component: x.component, Session: x.session,
		Body: m.Data, Trace: getTrace(m.Header),
	}}, nil
}

func encodeRegister(m *nats.Msg, e mailbox.Entry) error {
	state := registerJSON{State: stateIdle}
	if e.Scheduled {
		state = registerJSON{State: stateScheduled, On: e.On, Mark: e.Mark, Before: e.Before}
	}

	var err error
	if m.Data, err = json.Marshal(state); err != nil {
		return fmt.Errorf("encode register: %w", err)
	}

	return nil
}

// decodeRegister takes what isn't ours for an idle entry: the next post schedules the mailbox again, at worst twice.
func (b *Bus) decodeRegister(seq uint64, h nats.Header, body []byte) (mailbox.Entry, error) {
	ours, err := b.checkVersion(h)
	if err != nil {
		return mailbox.Entry{}, fmt.Errorf("register at %d: %w", seq, err)
	}

	var state registerJSON
	if ours && json.Unmarshal(body, &state) != nil {
		b.counts.Add(bus.ErrCorrupt)

		state = registerJSON{}
	}

	return mailbox.Entry{
		Seq: seq, Scheduled: state.State == stateScheduled, On: state.On, Mark: state.Mark, Before: state.Before,
	}, nil
}

// checkVersion reports whether this program's version wrote an entry. It fails for a newer one, and counts what isn't
// ours.
func (b *Bus) checkVersion(h nats.Header) (bool, error) {
	switch version := value(h, headerVersion); version {
	case protocolVersion:
		return true, nil
	case "":
		b.counts.Add(wire.ErrForeign)

		return false, nil
	default:
		b.counts.Add(bus.ErrUnsupported)

		return false, fmt.Errorf("protocol version %.20q, this program reads %s: %w",
			version, protocolVersion, bus.ErrUnsupported)
	}
}
