package envelope

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// Mode says how a message is delivered.
type Mode string

// The delivery modes.
const (
	// AtMostOnce: a message whose handler fails or whose process dies is not tried again.
	AtMostOnce Mode = "at_most_once"
	// AtLeastOnce: it is tried until it was handled, and may be handled again after a crash.
	AtLeastOnce Mode = "at_least_once"
	// ExactlyOnce: as AtLeastOnce, and a message that is published again with the same ID, within a day, is in the log
	// once. A handler that a crash interrupts is called again.
	ExactlyOnce Mode = "exactly_once"
)

// Pattern says what kind of exchange a message belongs to. It is for the services; how a message travels is decided by
// [Bus.Publish] and [Bus.Send].
type Pattern string

// The exchange patterns.
const (
	PointToPoint     Pattern = "point_to_point"
	PublishSubscribe Pattern = "publish_subscribe"
	Stream           Pattern = "stream"
)

// Defaults of a [Message].
const (
	DefaultMaxRetries = 3
	DefaultTTL        = 300 * time.Second
	// Never is a TTL without an end.
	Never time.Duration = -1
	// NoRetries is a MaxRetries of none.
	NoRetries = -1
)

const maxEventType = 200

// Message is one message with what is needed to deliver it.
type Message struct {
	// ID names the message, by an id as package subjects defines it. Defaults to "msg-" and 12 hexadecimal digits.
	ID string
	// Session is the session the message belongs to. Defaults to none: it is the application's.
	Session string
	// EventType is what happened: words joined by dots, such as "component.started".
	EventType string
	// Payload is for the handlers. Defaults to an empty object.
	Payload json.RawMessage
	// Source and Target name components. Target is needed to send. Default to none.
	Source string
	Target string
	// Mode is how the message is delivered. Defaults to AtLeastOnce.
	Mode Mode
	// Pattern is the kind of exchange. Defaults to PointToPoint.
	Pattern Pattern
	// CreatedAt is when the message was made, in microseconds, by the clock of this process. Defaults to when it is
	// published or sent. That of a message that was published, sent or received is by the clock of the broker, where that
	// differs by more than a second: processes need not agree about the time.
	CreatedAt time.Time
	// RetryCount is how often it was tried again.
	RetryCount int
	// MaxRetries is how often it may be tried again; NoRetries for none. Defaults to DefaultMaxRetries.
	MaxRetries int
	// TTL is for how long it is worth delivering, by the clock of the broker; Never for ever. Defaults to DefaultTTL.
	TTL time.Duration
	// Metadata is an object for whoever needs more fields. Defaults to none.
	Metadata json.RawMessage
}

// NewID returns an id that no other message has.
func NewID() string {
	var b [6]byte

	_, _ = rand.Read(b[:]) // never fails

	return "msg-" + hex.EncodeToString(b[:])
}

// Expired reports whether the message is older than its TTL.
func (m Message) Expired(now time.Time) bool {
	ttl := cmp.Or(m.TTL, DefaultTTL)

	return ttl >= 0 && now.Sub(m.CreatedAt) > ttl
}

// CanRetry reports whether the message may be tried again.
func (m Message) CanRetry(now time.Time) bool {
	return m.RetryCount < cmp.Or(m.MaxRetries, DefaultMaxRetries) && !m.Expired(now)
}

// withDefaults returns the message with every field filled that has a default.
func (m Message) withDefaults() Message {
	m.Mode = cmp.Or(m.Mode, AtLeastOnce)
	m.Pattern = cmp.Or(m.Pattern, PointToPoint)
	m.MaxRetries = cmp.Or(m.MaxRetries, DefaultMaxRetries)
	m.TTL = cmp.Or(m.TTL, DefaultTTL)

	if len(m.Payload) == 0 {
		m.Payload = json.RawMessage("{}")
	}

	return m
}

// stamped returns the message as it is published or sent.
func (m Message) stamped(now time.Time) Message {
	m = m.withDefaults()
	m.ID = cmp.Or(m.ID, NewID())

	if m.CreatedAt.IsZero() {
		m.CreatedAt = now
	}

	m.CreatedAt = m.CreatedAt.UTC().Truncate(time.Microsecond)

	return m
}

// tolerated is by how much clocks may differ that are taken for equal.
const tolerated = time.Second

// moved returns the message with the time of the broker's clock, which is ahead of this process's by that much. How old
// it is says this process's clock alone, so it is as old then as before.
func (m Message) moved(ahead time.Duration) Message {
	if ahead.Abs() > tolerated {
		m.CreatedAt = m.CreatedAt.Add(ahead).Truncate(time.Microsecond)
	}

	return m
}

// check refuses what can't be delivered.
func (m Message) check() error {
	for what, id := range map[string]string{
		"message id": m.ID, "session": m.Session, "source": m.Source, "target": m.Target,
	} {
		if id == "" && what != "message id" {
			continue
		}

		if err := subjects.CheckID(what, id); err != nil {
			return fmt.Errorf("%w: %w", bus.ErrInvalid, err)
		}

		if subjects.Reserved(id) {
			return fmt.Errorf("%s %q is reserved: %w", what, id, bus.ErrInvalid)
		}
	}

	if !validWords(m.EventType) || strings.ContainsAny(m.EventType, "*>") || subjects.Reserved(m.EventType) {
		return fmt.Errorf("event type %.40q is not words joined by dots, or reserved: %w", m.EventType, bus.ErrInvalid)
	}

	if s := m.CreatedAt.Unix(); s < 0 || s > maxSeconds {
		return fmt.Errorf("time %v: %w", m.CreatedAt, bus.ErrInvalid)
	}

	if m.TTL > maxTTL {
		return fmt.Errorf("time to live of %v, of at most %v: %w", m.TTL, maxTTL, bus.ErrInvalid)
	}

	if m.RetryCount < 0 {
		return fmt.Errorf("%d retries: %w", m.RetryCount, bus.ErrInvalid)
	}

	if err := m.checkKind(); err != nil {
		return fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}

	return nil
}

// checkKind refuses modes and patterns that don't exist.
func (m Message) checkKind() error {
	switch m.Mode {
	case AtMostOnce, AtLeastOnce, ExactlyOnce:
	default:
		return fmt.Errorf("delivery mode %.40q", m.Mode)
	}

	switch m.Pattern {
	case PointToPoint, PublishSubscribe, Stream:
	default:
		return fmt.Errorf("pattern %.40q", m.Pattern)
	}

	return nil
}

// validWords reports whether a text is words joined by dots.
func validWords(s string) bool {
	if len(s) > maxEventType || !utf8.ValidString(s) {
		return false
	}

	for word := range strings.SplitSeq(s, ".") {
		if word == "" || strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return false
		}
	}

	return true
}
