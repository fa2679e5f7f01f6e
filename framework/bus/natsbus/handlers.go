package natsbus

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// The client calls these one after another from a goroutine of its own.

func (b *Bus) disconnected(_ *nats.Conn, err error) {
	if b.isClosing() {
		return
	}
	b.link.Broke(err)
	b.log.Warn().Err(err).Msg("disconnected from NATS; reconnecting")
	if req := b.requester(); req != nil {
		req.fail("", fmt.Errorf("the connection broke: %w", bus.ErrUnknown))
		b.calls.interrupt(fmt.Errorf("the connection broke: %w", bus.ErrInterrupted))
	}
}

func (b *Bus) reconnected(nc *nats.Conn) {
	b.link.Up()
	b.log.Info().Str("url", redact(nc.ConnectedUrlRedacted())).Msg("reconnected to NATS")
	if f := b.liveFollows(); f != nil {
		f.missed()
		b.calls.reconnected()
	}
	b.restored.tell()
}

// connectionClosed ends the bus: nothing recovers a connection that the client gave up.
func (b *Bus) connectionClosed(nc *nats.Conn) {
	reason := nc.LastError()
	if b.isClosing() || reason == nil {
		b.end(bus.ErrClosed)

		return
	}
	b.end(fmt.Errorf("%w: the NATS connection was given up: %w", bus.ErrClosed, reason))
	b.log.Error().Err(reason).Msg("the NATS connection was given up")
}

// asyncError takes what the server or client reports without a caller to report it to.
func (b *Bus) asyncError(_ *nats.Conn, sub *nats.Subscription, err error) {
	switch {
	case errors.Is(err, nats.ErrSlowConsumer) && sub != nil:
		if f := b.liveFollows(); f != nil && f.overflowed(sub) { // else they were signals, which may get lost
			b.log.Warn().Msg("readers can't keep up; catching up from the log")
		}
	case errors.Is(err, nats.ErrPermissionViolation):
		b.denied(err)
	default:
		b.log.Warn().Err(err).Msg("NATS reports an error")
	}
}

// denied tells the callers whose request the server refused to take; without it they would see their time run out.
func (b *Bus) denied(err error) {
	subject, publish := deniedSubject(err)
	if !publish && strings.HasPrefix(subject, micro.APIPrefix+".") {
		b.hidden.Do(func() {
			b.log.Warn().Err(err).Msg("nats micro does not show this instance; grant the right to subscribe to " + micro.APIPrefix + ".>")
		})

		return
	}
	b.log.Error().Err(err).Msg("the NATS server denies a permission")
	b.refused.Store(&err)
	if req := b.requester(); publish && req != nil {
		reason := fmt.Errorf("the server denies it; grant the right to publish to %s: %w", subject, err)
		req.fail(subject, reason)
		b.calls.denied(subject, reason)
	}
}
