package redisbus

import (
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/wire"
)

// fields is what an entry says of its frame, by the constants below. What would say nothing is "", and not stored. The
// entry's id says the attempt and the index; the body is a field of its own.
type fields [fieldCount]string

// The fields of a frame. The version and the writer stand in front, in this order: see packBegin.
const (
	fieldVersion = iota // protocol version of all other fields
	fieldWriter         // the writer and the life, as [wire.Writer] writes them
	fieldType           // data type
	fieldLengths        // "3,1,4"; absent: one chunk, the whole body; "none": no chunk
	fieldOffset         // bytes of the chunk that earlier frames hold
	fieldMore           // "1": the chunk goes on in the next frame
	fieldBegin          // first frame of an attempt: the cursor behind the attempt before
	fieldState          // completed, failed or cancelled, in the last frame
	fieldReason         // why it failed or was cancelled
	fieldMeta           // query-encoded
	fieldParent         // W3C trace context
	fieldTraceState
	fieldCRC // CRC-32C of the stream's name, the id, the values before the trace context, and the body
	fieldCount
)

const (
	// nameFrame is the one field of an entry in Redis: its id, and the fields of its frame.
	nameFrame = "frame"
	// nameBody is the field with the chunks' bytes and nothing else.
	nameBody   = "body"
	nameWriter = "writer"
)

// fieldNames returns the names in a packed frame.
func fieldNames() *[fieldCount]string {
	return &[...]string{
		nameVersion, nameWriter, "type", "lengths", "offset", "more", "begin", "state", "reason", "meta", "traceparent", "tracestate",
		"crc",
	}
}

// size returns how many bytes the fields and their names have.
func (f *fields) size() int {
	n := 0
	for i, name := range fieldNames() {
		if f[i] != "" {
			n += len(name) + len(f[i])
		}
	}

	return n
}

// set takes a field as it is stored. It ignores what it doesn't know.
func (f *fields) set(name, value string) {
	for i, known := range fieldNames() {
		if name == known {
			f[i] = value

			return
		}
	}
}

// checksum covers everything that decides what a frame is, its place and the stream's name included, so that no entry
// passes for another one. The trace context may be rewritten on the way.
func (f *fields) checksum(id bus.StreamID, entry string, body []byte) string {
	crc := wire.Checksum(body, func(texts []byte) []byte {
		texts = wire.Text(wire.Text(wire.Text(texts, id.Session), id.Stream), entry)
		for _, value := range f[:fieldParent] {
			texts = wire.Text(texts, value)
		}

		return texts
	})

	return string(wire.AppendCRC(nil, crc))
}
