package redisbus

import (
	"strconv"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/wire"
	"github.com/woodwork-go/woodwork/subjects"
)

// note is what the two sides of a call publish: the caller on the channel of the endpoint, the serving side on the
// channel of the caller's process. It is packed as the names and values of its fields in turn.
type note struct {
	kind    string
	process string        // of the caller, which names its channel
	call    string        // id of the call within that process
	seq     uint64        // of replies and their end: 1 for the first; of noteTook: the last reply that was taken
	timeout time.Duration // of a request: how long the caller waits from now; 0: for ever
	code    string        // of noteFailed
	header  map[string]string
	body    string
}

// The kinds of notes.
const (
	noteRequest = "request"
	noteTook    = "took"   // the caller is this far
	noteLeft    = "left"   // the caller waits no more
	noteReply   = "reply"  // one of many
	noteDone    = "done"   // the replies ended
	noteFailed  = "failed" // the handler did; the body is the text
	noteNobody  = "nobody" // serves the endpoint
	noteBroken  = "broken" // the serving side can't go on
)

// Names of the fields of a note.
const (
	nameVersion = "v"
	nameKind    = "kind"
	nameProcess = "from"
	nameCall    = "call"
	nameSeq     = "seq"
	nameTimeout = "timeout"
	nameCode    = "code"
	nameHeader  = "header" // query-encoded
)

func (n *note) pack() []byte {
	texts := []string{nameVersion, protocolVersion, nameKind, n.kind, nameProcess, n.process, nameCall, n.call}
	if n.seq > 0 {
		texts = append(texts, nameSeq, strconv.FormatUint(n.seq, 10))
	}
	if n.timeout > 0 {
		texts = append(texts, nameTimeout, n.timeout.String())
	}
	if n.code != "" {
		texts = append(texts, nameCode, n.code)
	}
	if len(n.header) > 0 {
		texts = append(texts, nameHeader, wire.Meta(n.header))
	}

	return pack(append(texts, nameBody, n.body)...)
}

// unpackNote is the inverse of pack. Errors are those of decodeEntry.
func unpackNote(payload string) (*note, error) {
	texts, ok := unpack(payload)
	if !ok || len(texts) < 2 || texts[0] != nameVersion {
		return nil, wire.ErrForeign
	}
	if texts[1] != protocolVersion {
		return nil, bus.ErrUnsupported
	}
	n := &note{}
	for i := 2; i+1 < len(texts); i += 2 {
		if !n.set(texts[i], texts[i+1]) {
			return nil, corrupt(texts[i])
		}
	}
	if n.call == "" || !subjects.ValidID(n.process) {
		return nil, corrupt("call")
	}

	return n, nil
}

// set takes a field. It ignores what it doesn't know, and reports false for a value that makes no sense.
func (n *note) set(name, value string) (ok bool) {
	ok = true
	var err error
	switch name {
	case nameKind:
		n.kind = value
	case nameProcess:
		n.process = value
	case nameCall:
		n.call = value
	case nameSeq:
		n.seq, ok = wire.ParseUint(value, 10)
	case nameTimeout:
		n.timeout, err = time.ParseDuration(value)
		ok = err == nil && n.timeout > 0
	case nameCode:
		n.code = value
	case nameHeader:
		n.header, ok = wire.ParseMeta(value)
	case nameBody:
		n.body = value
	}

	return ok
}

// message returns what a request or reply carries.
func (n *note) message() *bus.Message { return &bus.Message{Header: n.header, Body: []byte(n.body)} }
