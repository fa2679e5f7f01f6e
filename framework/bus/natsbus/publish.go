package natsbus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Headers with a condition or instruction for JetStream.
const (
	headerExpectLast        = "Nats-Expected-Last-Subject-Sequence"
	headerExpectLastSubject = "Nats-Expected-Last-Subject-Sequence-Subject"
	headerTTL               = "Nats-TTL"
	headerStatus            = "Status"
	statusNoResponders      = "503"
)

// expectLast makes the server refuse m unless the last entry of its subject has this sequence; 0: there is none.
func expectLast(m *nats.Msg, seq uint64) {
	if m.Header == nil {
		m.Header = nats.Header{}
	}
	m.Header[headerExpectLast] = []string{strconv.FormatUint(seq, 10)}
}

// expectLastOf is expectLast for another literal subject of the same JetStream stream.
func expectLastOf(m *nats.Msg, subject string, seq uint64) {
	expectLast(m, seq)
	m.Header[headerExpectLastSubject] = []string{subject}
}

// publish sends m once to JetStream and returns the sequence under which it was stored in the bus's durability class.
// It waits for at most AppendTimeout. Errors are those of [bus.Log].Append, or a permission violation that names the
// subject.
func (b *Bus) publish(ctx context.Context, m *nats.Msg) (uint64, error) {
	ack, err := b.req.do(ctx, m, b.cfg.AppendTimeout)
	if err != nil {
		return 0, err
	}

	return b.acked(ack)
}

// acked is parseAck that finds out why no JetStream stream answers.
func (b *Bus) acked(ack *nats.Msg) (uint64, error) {
	seq, err := parseAck(ack)
	if errors.Is(err, errNoStream) {
		b.missed()
	}

	return seq, err
}

// errNoStream: nobody takes what is published on the subject.
var errNoStream = fmt.Errorf("no JetStream stream answers: %w", bus.ErrUnknown)

// parseAck reads the reply to a publish.
func parseAck(ack *nats.Msg) (uint64, error) {
	if len(ack.Data) == 0 {
		if value(ack.Header, headerStatus) == statusNoResponders {
			return 0, errNoStream
		}

		return 0, fmt.Errorf("empty acknowledgement: %w", bus.ErrUnknown)
	}
	if seq, ok := ackSequence(ack.Data); ok {
		return seq, nil
	}
	var got struct {
		Error *apiError `json:"error"`
		Seq   uint64    `json:"seq"`
	}
	if err := json.Unmarshal(ack.Data, &got); err != nil {
		return 0, fmt.Errorf("malformed acknowledgement: %w: %w", bus.ErrUnknown, err)
	}
	if got.Error != nil {
		return 0, got.Error
	}
	if got.Seq == 0 {
		return 0, fmt.Errorf("acknowledgement without a sequence: %w", bus.ErrUnknown)
	}

	return got.Seq, nil
}

// ackSequence reads the acknowledgement as servers write it when all is well, `{"stream":"S","seq":1}`, without a
// parser for JSON. No name of a JetStream stream holds a quote, so nothing else can look like it.
func ackSequence(data []byte) (uint64, bool) {
	rest, ok := bytes.CutPrefix(data, []byte(`{"stream":"`))
	if !ok {
		return 0, false
	}
	_, rest, ok = bytes.Cut(rest, []byte(`"`))
	if !ok {
		return 0, false
	}
	rest, ok = bytes.CutPrefix(rest, []byte(`,"seq":`))
	if !ok {
		rest, ok = bytes.CutPrefix(rest, []byte(`, "seq":`))
	}
	seq := uint64(0)
	for i, c := range rest {
		if c < '0' || c > '9' || i > 18 {
			return seq, ok && seq > 0 && c == '}'
		}
		seq = seq*10 + uint64(c-'0')
	}

	return 0, false
}
