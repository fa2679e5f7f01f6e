package envelope

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// wire is a message in either JSON shape. The first shape has sender_component, target_component, created_at and
// ttl_seconds; the second has component_source, component_target, timestamp and metadata, and no time to live.
type wire struct {
	ID         string          `json:"message_id"`
	Session    string          `json:"session_id"`
	EventType  string          `json:"event_type"`
	Payload    json.RawMessage `json:"payload,omitempty"`
	Sender     *string         `json:"sender_component,omitempty"`
	Source     *string         `json:"component_source,omitempty"`
	Target     *string         `json:"target_component,omitempty"`
	Target2    *string         `json:"component_target,omitempty"`
	Mode       Mode            `json:"delivery_mode,omitempty"`
	Pattern    Pattern         `json:"pattern,omitempty"`
	CreatedAt  json.RawMessage `json:"created_at,omitempty"`
	Timestamp  json.RawMessage `json:"timestamp,omitempty"`
	RetryCount int             `json:"retry_count"`
	MaxRetries *int            `json:"max_retries,omitempty"`
	TTL        json.RawMessage `json:"ttl_seconds,omitempty"`
	Metadata   json.RawMessage `json:"metadata,omitempty"`
}

// The second shape's name of a pattern.
const pubSub Pattern = "pub_sub"

const (
	maxSeconds = 253402300799 // the end of year 9999
	maxTTL     = 100 * 365 * 24 * time.Hour
	pythonTime = "2006-01-02T15:04:05.999999"
)

// MarshalJSON writes the first shape, with created_at and ttl_seconds in seconds and every default spelt out. Fields
// that are not set are left out.
func (m Message) MarshalJSON() ([]byte, error) {
	m = m.withDefaults()
	if s := m.CreatedAt.Unix(); !m.CreatedAt.IsZero() && (s < 0 || s > maxSeconds) {
		return nil, fmt.Errorf("time %v: %w", m.CreatedAt, bus.ErrInvalid)
	}

	w := m.common()
	w.Sender, w.Target = text(m.Source), text(m.Target)
	w.CreatedAt = seconds(m.CreatedAt)
	w.TTL = json.RawMessage("null")

	if m.TTL >= 0 {
		w.TTL = json.RawMessage(strconv.FormatFloat(m.TTL.Seconds(), 'f', -1, 64))
	}

	return json.Marshal(w)
}

// MarshalSecondShape writes the second shape, with an ISO 8601 timestamp. It has no place for the TTL.
func (m Message) MarshalSecondShape() ([]byte, error) {
	m = m.withDefaults()
	w := m.common()
	w.Source, w.Target2 = text(m.Source), text(m.Target)

	if m.Pattern == PublishSubscribe {
		w.Pattern = pubSub
	}

	if !m.CreatedAt.IsZero() {
		w.Timestamp = json.RawMessage(strconv.Quote(m.CreatedAt.UTC().Format(time.RFC3339Nano)))
	}

	return json.Marshal(w)
}

func (m Message) common() wire {
	retries := max(m.MaxRetries, 0)

	return wire{
		ID: m.ID, Session: m.Session, EventType: m.EventType, Payload: m.Payload, Mode: m.Mode, Pattern: m.Pattern,
		RetryCount: m.RetryCount, MaxRetries: &retries, Metadata: m.Metadata,
	}
}

// UnmarshalJSON reads both shapes. Fields that are missing get their defaults, but for CreatedAt and ID, which stay
// empty; times are seconds since 1970 or ISO 8601, in UTC unless they say otherwise. Errors wrap [bus.ErrInvalid].
func (m *Message) UnmarshalJSON(data []byte) error {
	var w wire
	if err := json.Unmarshal(data, &w); err != nil {
		return fmt.Errorf("decode message: %w: %w", bus.ErrInvalid, err)
	}

	got, err := w.message()
	if err != nil {
		return fmt.Errorf("decode message: %w: %w", bus.ErrInvalid, err)
	}

	*m = got

	return nil
}

func (w *wire) message() (Message, error) {
	m := Message{
		ID: w.ID, Session: w.Session, EventType: w.EventType, Payload: present(w.Payload), Source: first(w.Sender, w.Source),
		Target: first(w.Target, w.Target2), Mode: w.Mode, Pattern: w.Pattern, RetryCount: w.RetryCount,
		Metadata: present(w.Metadata),
	}

	if m.Pattern == pubSub {
		m.Pattern = PublishSubscribe
	}

	if w.RetryCount < 0 || w.MaxRetries != nil && *w.MaxRetries < 0 {
		return m, errors.New("negative number of retries")
	}

	if w.MaxRetries != nil {
		m.MaxRetries = *w.MaxRetries
		if m.MaxRetries == 0 {
			m.MaxRetries = NoRetries
		}
	}

	var err error
	if m.CreatedAt, err = moment(firstRaw(w.CreatedAt, w.Timestamp)); err != nil {
		return m, err
	}

	if m.TTL, err = lifetime(w.TTL); err != nil {
		return m, err
	}

	m = m.withDefaults()

	return m, m.checkKind()
}

// moment reads a time as either shape writes it.
func moment(raw json.RawMessage) (time.Time, error) {
	if raw = present(raw); raw == nil {
		return time.Time{}, nil
	}

	var s string
	if json.Unmarshal(raw, &s) == nil {
		for _, layout := range []string{time.RFC3339Nano, pythonTime} {
			if t, err := time.Parse(layout, s); err == nil {
				return t.UTC().Truncate(time.Microsecond), nil
			}
		}

		return time.Time{}, fmt.Errorf("time %.40q is not ISO 8601", s)
	}

	var f float64
	if err := json.Unmarshal(raw, &f); err != nil || f < 0 || f > maxSeconds {
		return time.Time{}, fmt.Errorf("time %.40s is no time", raw)
	}

	return time.UnixMicro(int64(math.Round(f * 1e6))).UTC(), nil
}

// lifetime reads a TTL: null is for ever, and what ends at once is the shortest there is.
func lifetime(raw json.RawMessage) (time.Duration, error) {
	if raw == nil {
		return 0, nil
	}

	if present(raw) == nil {
		return Never, nil
	}

	var f float64
	if err := json.Unmarshal(raw, &f); err != nil || f < 0 || f > maxTTL.Seconds() {
		return 0, fmt.Errorf("time to live of %.40s seconds", raw)
	}

	return max(time.Duration(math.Round(f*1e6))*time.Microsecond, time.Microsecond), nil
}

// seconds writes a time as the first shape does; nil for none.
func seconds(t time.Time) json.RawMessage {
	if t.IsZero() {
		return nil
	}

	return fmt.Appendf(nil, "%d.%06d", t.Unix(), t.Nanosecond()/1e3)
}

func text(s string) *string {
	if s == "" {
		return nil
	}

	return &s
}

func first(some ...*string) string {
	for _, s := range some {
		if s != nil {
			return *s
		}
	}

	return ""
}

func firstRaw(some ...json.RawMessage) json.RawMessage {
	for _, raw := range some {
		if present(raw) != nil {
			return raw
		}
	}

	return nil
}

// present returns nil for a value that is missing or null.
func present(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil
	}

	return raw
}
