package redisbus

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// The fields of a letter in its inbox.
const (
	letterVersion = "version"
	letterTurn    = "turn"
	letterBody    = "body"
	traceParent   = "traceparent"
	traceState    = "tracestate"
)

const mailboxVersion = "1"

// encodeLetter returns the fields and values of a letter, one after another.
func encodeLetter(l *bus.Letter) []any {
	return appendTrace([]any{letterVersion, mailboxVersion, letterTurn, l.ID, letterBody, l.Body}, l.Trace)
}

// appendTrace adds a W3C trace context.
func appendTrace(fields []any, trace map[string]string) []any {
	for _, key := range [...]string{traceParent, traceState} {
		if v := trace[key]; v != "" {
			fields = append(fields, key, v)
		}
	}

	return fields
}

// decodeTrace is the inverse of appendTrace; nil without a trace context.
func decodeTrace(fields map[string]any) map[string]string {
	var trace map[string]string

	for _, key := range [...]string{traceParent, traceState} {
		if v := text(fields, key); v != "" {
			if trace == nil {
				trace = map[string]string{}
			}

			trace[key] = v
		}
	}

	return trace
}

// decodeLetter fails with [bus.ErrCorrupt] for what is no letter, and for what a newer program wrote.
func decodeLetter(component, session string, e redis.XMessage) (*bus.Letter, error) {
	at, ok := parsePosition(e.ID)
	if !ok || text(e.Values, letterTurn) == "" {
		return nil, fmt.Errorf("entry %s: %w", e.ID, bus.ErrCorrupt)
	}

	if v := text(e.Values, letterVersion); v != mailboxVersion {
		return nil, fmt.Errorf("letter %s has version %.20q: %w", e.ID, v, bus.ErrUnsupported)
	}

	return &bus.Letter{
		ID: text(e.Values, letterTurn), Component: component, Session: session, Body: []byte(text(e.Values, letterBody)),
		Trace: decodeTrace(e.Values), Position: at,
	}, nil
}

func text(fields map[string]any, key string) string {
	s, _ := fields[key].(string)

	return s
}

// parseEntry reads an entry as scripts return one: its id, then its fields and values.
func parseEntry(id, fields any) (redis.XMessage, bool) {
	e := redis.XMessage{Values: map[string]any{}}
	list, ok := fields.([]any)
	e.ID, _ = id.(string)

	for i := 0; i+1 < len(list); i += 2 {
		key, _ := list[i].(string)
		e.Values[key] = list[i+1]
	}

	return e, ok && e.ID != ""
}

// formatPosition returns the id of an entry.
func formatPosition(p bus.Position) string {
	return strconv.FormatUint(p.Major, 10) + "-" + strconv.FormatUint(p.Minor, 10)
}

// parsePosition is the inverse of formatPosition.
func parsePosition(id string) (bus.Position, bool) {
	left, right, _ := strings.Cut(id, "-")
	major, majorErr := strconv.ParseUint(left, 10, 64)
	minor, minorErr := strconv.ParseUint(right, 10, 64)

	return bus.Position{Major: major, Minor: minor}, majorErr == nil && minorErr == nil
}
