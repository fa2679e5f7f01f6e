package natsbus

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
)

const (
	headerSequence = "Nats-Sequence"
	statusNotFound = "404"
)

// errGone: an entry that was stored once is no longer there.
var errGone = fmt.Errorf("the entry has expired or was deleted: %w", bus.ErrNotFound)

// fetch reads frames of a stream by their sequences, all at once, from whichever replica answers. What a replica
// doesn't have, or doesn't answer, the leader is asked for. An entry that is gone is nil.
func (b *Bus) fetch(ctx context.Context, id bus.StreamID, seqs []uint64) ([]*bus.Entry, error) {
	if err := b.take(ctx, b.fetches); err != nil {
		return nil, err
	}
	defer func() { <-b.fetches }()
	jsStream := b.logNames[b.ns.Shard(id.Session)]
	subject := b.apiPrefix + "DIRECT.GET." + jsStream
	calls := make([]*call, len(seqs))
	for i, seq := range seqs {
		c, err := b.req.start(&nats.Msg{Subject: subject, Data: seqRequest(seq)}, apiTimeout)
		if err != nil && !errors.Is(err, bus.ErrUnknown) {
			b.abandon(calls[:i])

			return nil, err
		}
		calls[i] = c
	}
	entries := make([]*bus.Entry, len(seqs))
	for i, seq := range seqs {
		e, err := b.fetched(ctx, id, jsStream, seq, calls[i])
		if err != nil {
			b.abandon(calls[i+1:])

			return nil, err
		}
		entries[i] = e
	}

	return entries, nil
}

func (b *Bus) abandon(calls []*call) {
	for _, c := range calls {
		if c != nil {
			b.req.release(c)
		}
	}
}

// fetched waits for a direct get, or asks the leader where that gave nothing. c is nil when it could not be sent.
func (b *Bus) fetched(ctx context.Context, id bus.StreamID, jsStream string, seq uint64, c *call) (*bus.Entry, error) {
	if c != nil {
		answer, err := b.req.wait(ctx, c)
		if err == nil && value(answer.Header, headerStatus) == "" {
			return b.decode(id, seq, answer.Header, answer.Data)
		}
		if err != nil && !errors.Is(err, bus.ErrUnknown) {
			return nil, err
		}
	}
	m, err := b.msgAt(ctx, jsStream, seq)
	if err != nil || m == nil {
		return nil, err
	}

	return b.decode(id, m.Seq, m.Header, m.Data)
}

// lastBefore returns the last entry of a subject below a sequence, or nil. Any replica may answer.
func (b *Bus) lastBefore(ctx context.Context, jsStream, subject string, seq uint64) (*stored, error) {
	if seq <= 1 {
		return nil, nil
	}
	request := `{"multi_last":["` + subject + `"],"batch":1,"up_to_seq":` + strconv.FormatUint(seq-1, 10) + `}`
	for attempt := 0; ; attempt++ {
		answer, err := b.req.do(ctx, &nats.Msg{
			Subject: b.apiPrefix + "DIRECT.GET." + jsStream, Data: []byte(request),
		}, apiTimeout)
		if err == nil {
			return directMsg(answer)
		}
		if !errors.Is(err, bus.ErrUnknown) {
			return nil, err
		}
		if wait := backoff(ctx, attempt); wait != nil {
			return nil, fmt.Errorf("%w: %w", wait, err)
		}
	}
}

// directMsg reads the answer to a direct get.
func directMsg(answer *nats.Msg) (*stored, error) {
	switch status := value(answer.Header, headerStatus); status {
	case "":
	case statusNotFound:
		return nil, nil
	default:
		return nil, fmt.Errorf("direct get: status %s: %w", status, bus.ErrUnknown)
	}
	seq, ok := parseUint(lastValue(answer.Header, headerSequence), 10)
	if !ok {
		return nil, fmt.Errorf("direct get: answer without a sequence: %w", bus.ErrCorrupt)
	}

	return &stored{Seq: seq, Header: answer.Header, Data: answer.Data}, nil
}
