package natsbus

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/wire"
)

const (
	headerSequence = "Nats-Sequence"
	headerSubject  = "Nats-Subject"
	statusNotFound = "404"
)

// errGone: an entry that was stored once is no longer there.
var errGone = fmt.Errorf("the entry has expired or was deleted: %w", bus.ErrNotFound)

// logSource is a stream's log as a [linkReader] reads it.
type logSource struct {
	bus      *Bus
	id       bus.StreamID
	jsStream string
	subject  string
}

func (b *Bus) logSource(id bus.StreamID) (*logSource, error) {
	subject, err := b.ns.Log(id.Session, id.Stream)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}

	return &logSource{bus: b, id: id, jsStream: b.logNames[b.ns.Shard(id.Session)], subject: subject}, nil
}

// fetch reads frames by their sequences, all at once, from whichever replica answers. What a replica doesn't have, or
// doesn't answer, the leader is asked for. An entry that is gone is nil, also where something else is in its place.
func (l *logSource) fetch(ctx context.Context, seqs []uint64) ([]*bus.Entry, error) {
	b := l.bus
	if err := b.take(ctx, b.fetches); err != nil {
		return nil, err
	}
	defer func() { <-b.fetches }()
	calls := make([]*call, len(seqs))
	for i, seq := range seqs {
		c, err := b.req.start(&nats.Msg{Subject: b.apiPrefix + "DIRECT.GET." + l.jsStream, Data: seqRequest(seq)}, apiTimeout)
		if err != nil && !errors.Is(err, bus.ErrUnknown) {
			b.abandon(calls[:i])

			return nil, err
		}
		calls[i] = c
	}
	entries, missing := make([]*bus.Entry, len(seqs)), make([]int, 0, len(seqs))
	for i, seq := range seqs {
		e, known, err := l.fetched(ctx, seq, calls[i])
		if err != nil {
			b.abandon(calls[i+1:])

			return nil, err
		}
		if entries[i] = e; !known {
			missing = append(missing, i)
		}
	}

	return entries, l.fetchLeader(ctx, seqs, entries, missing)
}

func (b *Bus) abandon(calls []*call) {
	for _, c := range calls {
		if c != nil {
			b.req.release(c)
		}
	}
}

// fetched waits for a direct get, and reports whether that says what is there. c is nil when it could not be sent.
func (l *logSource) fetched(ctx context.Context, seq uint64, c *call) (e *bus.Entry, known bool, err error) {
	if c == nil {
		return nil, false, nil
	}
	answer, err := l.bus.req.wait(ctx, c)
	switch {
	case errors.Is(err, bus.ErrUnknown):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	case value(answer.Header, headerStatus) != "":
		return nil, false, nil
	case lastValue(answer.Header, headerSubject) != l.subject:
		return nil, true, nil
	}
	e, err = l.decode(seq, answer.Header, answer.Data)

	return e, true, err
}

// fetchLeader asks the leader for the missing ones: for the first of the log from each on, which tells of all that are
// gone in a row at once.
func (l *logSource) fetchLeader(ctx context.Context, seqs []uint64, entries []*bus.Entry, missing []int) error {
	at := uint64(0) // the leader has nothing of the log between the one before and this one
	for _, i := range missing {
		if seqs[i] < at {
			continue
		}
		m, err := l.bus.nextMsg(ctx, l.jsStream, l.subject, seqs[i])
		if err != nil || m == nil {
			return err
		}
		if at = m.Seq; at == seqs[i] {
			if entries[i], err = l.decode(m.Seq, m.Header, m.Data); err != nil {
				return err
			}
		}
	}

	return nil
}

// next returns the first frame at or after a sequence as the leader sees it, or nil.
func (l *logSource) next(ctx context.Context, from uint64) (*bus.Entry, error) {
	for {
		m, err := l.bus.nextMsg(ctx, l.jsStream, l.subject, from)
		if err != nil || m == nil {
			return nil, err
		}
		if e, err := l.decode(m.Seq, m.Header, m.Data); e != nil || err != nil {
			return e, err
		}
		from = m.Seq + 1
	}
}

// before returns the last frame below a sequence, or nil.
func (l *logSource) before(ctx context.Context, seq uint64) (*bus.Entry, error) {
	for {
		m, err := l.bus.lastBefore(ctx, l.jsStream, l.subject, seq)
		if err != nil || m == nil {
			return nil, err
		}
		if e, err := l.decode(m.Seq, m.Header, m.Data); e != nil || err != nil {
			return e, err
		}
		seq = m.Seq
	}
}

// decode returns nil for what isn't ours.
func (l *logSource) decode(seq uint64, h nats.Header, body []byte) (*bus.Entry, error) {
	e, err := l.bus.decode(l.id, seq, h, body)
	if errors.Is(err, wire.ErrForeign) {
		return nil, nil
	}

	return e, err
}

// lastBefore returns the last entry of a subject below a sequence, or nil. Any replica answers; the leader says whether
// that one lags behind.
func (b *Bus) lastBefore(ctx context.Context, jsStream, subject string, seq uint64) (*stored, error) {
	m, err := b.directBefore(ctx, jsStream, subject, seq)
	for err == nil {
		from := uint64(1)
		if m != nil {
			from = m.Seq + 1
		}
		var behind *stored
		if behind, err = b.nextMsg(ctx, jsStream, subject, from); err != nil {
			break
		}
		if behind == nil || behind.Seq >= seq {
			return m, nil
		}
		m = behind
	}

	return nil, err
}

// directBefore is lastBefore as the replica that answers sees it. It asks again when none does.
func (b *Bus) directBefore(ctx context.Context, jsStream, subject string, seq uint64) (*stored, error) {
	if seq <= 1 {
		return nil, nil
	}
	request := `{"multi_last":["` + subject + `"],"batch":1,"up_to_seq":` + strconv.FormatUint(seq-1, 10) + `}`
	for t := b.tries(); ; {
		var m *stored
		answer, err := b.req.do(ctx, &nats.Msg{
			Subject: b.apiPrefix + "DIRECT.GET." + jsStream, Data: []byte(request),
		}, apiTimeout)
		if err == nil {
			m, err = directMsg(answer)
		}
		if !errors.Is(err, bus.ErrUnknown) {
			return m, err
		}
		if end := t.again(ctx, err); end != nil {
			return nil, end
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
