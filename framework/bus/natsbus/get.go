package natsbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// stored is an entry as the broker keeps it.
type stored struct {
	Subject string
	Seq     uint64
	Header  nats.Header
	Data    []byte
	Time    time.Time
}

// lastMsg returns the last entry of a subject from the JetStream stream's leader, or nil when there is none.
func (b *Bus) lastMsg(ctx context.Context, jsStream, subject string) (*stored, error) {
	return b.leaderGet(ctx, jsStream, []byte(`{"last_by_subj":"`+subject+`"}`))
}

// nextMsg returns the first entry of a subject at or after a sequence from the leader, or nil when there is none.
func (b *Bus) nextMsg(ctx context.Context, jsStream, subject string, from uint64) (*stored, error) {
	return b.leaderGet(ctx, jsStream,
		[]byte(`{"seq":`+strconv.FormatUint(from, 10)+`,"next_by_subj":"`+subject+`"}`))
}

// msgAt returns the entry at a sequence from the leader, or nil when there is none.
func (b *Bus) msgAt(ctx context.Context, jsStream string, seq uint64) (*stored, error) {
	return b.leaderGet(ctx, jsStream, seqRequest(seq))
}

// deleteMsg removes the entry at a sequence; one that is gone already is no error.
func (b *Bus) deleteMsg(ctx context.Context, jsStream string, seq uint64) error {
	var got answer
	request := []byte(`{"no_erase":true,"seq":` + strconv.FormatUint(seq, 10) + `}`)
	err := b.api(ctx, "STREAM.MSG.DELETE."+jsStream, request, &got)
	var ae *apiError
	if errors.As(err, &ae) && (ae.Code == codeNoMessage || ae.Code == codeNoSequence ||
		ae.Code == codeDeleteFailed && strings.Contains(ae.Description, "no message found")) {
		return nil
	}

	return err
}

func seqRequest(seq uint64) []byte { return []byte(`{"seq":` + strconv.FormatUint(seq, 10) + `}`) }

// storedJSON is a stored entry as the leader's answer holds it.
type storedJSON struct {
	Subject string    `json:"subject"`
	Seq     uint64    `json:"seq"`
	Header  []byte    `json:"hdrs"`
	Data    []byte    `json:"data"`
	Time    time.Time `json:"time"`
}

// leaderGet reads one entry from the leader, never from a replica that may lag.
func (b *Bus) leaderGet(ctx context.Context, jsStream string, request []byte) (*stored, error) {
	var got struct {
		answer

		Message *storedJSON `json:"message"`
	}
	err := b.api(ctx, "STREAM.MSG.GET."+jsStream, request, &got)
	var ae *apiError
	if errors.As(err, &ae) && ae.Code == codeNoMessage {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := got.Message
	if m == nil {
		return nil, fmt.Errorf("answer without an entry: %w", bus.ErrUnknown)
	}
	s := &stored{Subject: m.Subject, Seq: m.Seq, Data: m.Data, Time: m.Time}
	if len(m.Header) > 0 {
		if s.Header, err = nats.DecodeHeadersMsg(m.Header); err != nil {
			return nil, fmt.Errorf("headers of entry %d: %w: %w", m.Seq, bus.ErrCorrupt, err)
		}
	}

	return s, nil
}

// answer is what all answers of the JetStream API have in common.
type answer struct {
	Error *apiError `json:"error"`
}

func (a *answer) common() *answer { return a }

// api asks the JetStream API and decodes the answer, in which got has an [answer] embedded. It asks again when there
// is no leader, no answer or no connection; see [bus.Bus].
func (b *Bus) api(ctx context.Context, what string, request []byte, got interface{ common() *answer }) error {
	if err := b.take(ctx, b.apiSlots); err != nil {
		return err
	}
	defer func() { <-b.apiSlots }()
	for t := b.tries(); ; {
		err := b.apiOnce(ctx, what, request, got)
		if err == nil || !errors.Is(err, bus.ErrUnknown) {
			return err
		}
		if end := t.again(ctx, err); end != nil {
			return end
		}
	}
}

// take waits for a place among what may be in flight.
func (b *Bus) take(ctx context.Context, slots chan<- struct{}) error {
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-b.closing:
		return b.closedError()
	}
}

func (b *Bus) apiOnce(ctx context.Context, what string, request []byte, got interface{ common() *answer }) error {
	m, err := b.req.do(ctx, &nats.Msg{Subject: b.apiPrefix + what, Data: request}, apiTimeout)
	if err != nil {
		return err
	}
	if len(m.Data) == 0 {
		return fmt.Errorf("JetStream does not answer (status %s): %w", value(m.Header, headerStatus), bus.ErrUnknown)
	}
	got.common().Error = nil // that of the answer before
	if err := json.Unmarshal(m.Data, got); err != nil {
		return fmt.Errorf("malformed answer: %w", err)
	}
	if err := got.common().Error; err != nil {
		if err.Code == codeStreamNotFound {
			b.missed()
		}

		return err
	}

	return nil
}
