package natsbus

import (
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Headers of calls. A request goes to the subject of the endpoint and its replies to the reply subject, each with the
// next sequence; the last one has no body of the handler's, but says how the replies ended. On the request's subject
// follow, about the call with that reply subject, how far the caller is and that it left.
const (
	headerTimeout  = "Ww-Timeout"  // of a request: how long the caller waits from now, as 1.5s; for ever without it
	headerSeq      = "Ww-Seq"      // of a reply: 1 for the first
	headerEnd      = "Ww-End"      // of the last reply: one of the ends below
	headerCode     = "Ww-Code"     // of the last reply with endError, whose body is the text: what failed
	headerCall     = "Ww-Call"     // of what follows a request: the request's reply subject
	headerReceived = "Ww-Received" // of what follows a request: the sequence of the last reply that was taken
	headerLeft     = "Ww-Left"     // of what follows a request: the caller left
	headerProbe    = "Ww-Probe"    // of what is no reply: the serving side asks whether anyone listens
)

// How replies end.
const (
	endDone        = "done"
	endError       = "error"
	endInterrupted = "interrupted"
	endUnserved    = "unserved"
)

// encodeMessage writes a message whose header was checked. Values with what can't stand in a header are escaped; trace
// context is not, because others read it.
func encodeMessage(subject string, m *bus.Message) *nats.Msg {
	out := &nats.Msg{Subject: subject, Header: make(nats.Header, len(m.Header)+2), Data: m.Body}
	for key, value := range m.Header {
		if !isTrace(key) {
			value = escapeHeader(value)
		} else if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
			continue // tracing never stops a message
		}
		out.Header[key] = []string{value}
	}

	return out
}

// decodeMessage is the inverse of encodeMessage. It leaves out the headers that are the bus's own, and takes a value
// that is no escape as it is: other programs may send one.
func decodeMessage(m *nats.Msg) *bus.Message {
	out := &bus.Message{Body: m.Data}
	for key := range m.Header {
		text := value(m.Header, key)
		if !bus.ValidHeader(key) {
			continue
		}
		if plain, err := unescapeHeader(text); err == nil && !isTrace(key) {
			text = plain
		}
		if out.Header == nil {
			out.Header = make(map[string]string, len(m.Header))
		}
		out.Header[key] = text
	}

	return out
}

func isTrace(key string) bool { return key == headerTraceParent || key == headerTraceState }

// setTimeout writes how long the caller waits. It is a duration because clocks differ; never zero.
func setTimeout(m *nats.Msg, left time.Duration) {
	m.Header[headerTimeout] = []string{max(left, time.Nanosecond).String()}
}

// timeoutOf is the inverse of setTimeout; zero without one.
func timeoutOf(m *nats.Msg) (time.Duration, bool) {
	text := value(m.Header, headerTimeout)
	if text == "" {
		return 0, true
	}
	left, err := time.ParseDuration(text)

	return left, err == nil && left > 0
}

func setSeq(m *nats.Msg, key string, seq uint64) {
	m.Header[key] = []string{strconv.FormatUint(seq, 10)}
}
