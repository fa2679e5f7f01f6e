package natsbus

import (
	"errors"
	"net/url"
	"strings"

	"github.com/nats-io/nats.go"
)

// Headers of W3C trace context.
const (
	headerTraceParent = "traceparent"
	headerTraceState  = "tracestate"
)

// maxHeader bounds the headers of a frame. The server's limit is 64 KiB, in which it needs some when it republishes.
const maxHeader = 32 << 10

// headerSize returns how many bytes headers take on the wire.
func headerSize(h nats.Header) int {
	size := len("NATS/1.0\r\n\r\n")
	for key, values := range h {
		for _, v := range values {
			size += len(key) + len(v) + len(": \r\n")
		}
	}

	return size
}

var errHeader = errors.New("malformed header")

// escapeHeader makes any text safe as the value of a header: printable ASCII stays readable, everything else, and
// what could be mistaken, becomes %XX.
func escapeHeader(s string) string {
	i := strings.IndexFunc(s, unsafeRune)
	if i < 0 && !strings.HasPrefix(s, " ") && !strings.HasSuffix(s, " ") {
		return s
	}

	return escape(s)
}

// unsafeRune reports what can't stand in a header; '%' begins an escape.
func unsafeRune(r rune) bool { return r < ' ' || r > '~' || r == '%' }

func escape(s string) string {
	const digits = "0123456789ABCDEF"
	out := make([]byte, 0, len(s)*3/2)
	for i := range len(s) {
		b := s[i]
		if unsafeRune(rune(b)) || b == ' ' && (i == 0 || i == len(s)-1) {
			out = append(out, '%', digits[b>>4], digits[b&15])

			continue
		}
		out = append(out, b)
	}

	return string(out)
}

// unescapeHeader is the inverse of escapeHeader.
func unescapeHeader(s string) (string, error) {
	if !strings.Contains(s, "%") {
		return s, nil
	}
	out, err := url.PathUnescape(s)
	if err != nil {
		return "", errHeader
	}

	return out, nil
}

// setTrace writes a W3C trace context. What can't stand in a header is left out: tracing never stops a message.
func setTrace(h nats.Header, trace map[string]string) {
	for _, key := range [...]string{headerTraceParent, headerTraceState} {
		if v := trace[key]; v != "" && v == escapeHeader(v) {
			h[key] = []string{v}
		}
	}
}

// getTrace is the inverse of setTrace; nil without a trace context.
func getTrace(h nats.Header) map[string]string {
	parent := value(h, headerTraceParent)
	if parent == "" {
		return nil
	}
	trace := map[string]string{headerTraceParent: parent}
	if state := value(h, headerTraceState); state != "" {
		trace[headerTraceState] = state
	}

	return trace
}

// value returns a header's first value. Names are taken as written: ours have one spelling.
func value(h nats.Header, key string) string {
	if v := h[key]; len(v) > 0 {
		return v[0]
	}

	return ""
}

// lastValue returns a header's last value, which is the server's where it appends its own to those of a message.
func lastValue(h nats.Header, key string) string {
	if v := h[key]; len(v) > 0 {
		return v[len(v)-1]
	}

	return ""
}
