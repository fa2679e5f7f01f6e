package redisbus

import (
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// fields is what an entry says of its frame, by the constants below. What would say nothing is "", and not stored. The
// entry's id says the attempt and the index; the body is a field of its own.
type fields [fieldCount]string

// The fields of an entry. The script that stores it puts the version, the writer and the time in front, in this order,
// and looks for them there.
const (
	fieldVersion = iota // protocol version of all other fields
	fieldWriter         // random id of the writer
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

// Names of the fields that are not in fields.
const nameBody = "body" // the chunks' bytes and nothing else

// fieldNames returns the names in Redis.
func fieldNames() *[fieldCount]string {
	return &[...]string{
		"v", "writer", "type", "lengths", "offset", "more", "begin", "state", "reason", "meta", "traceparent", "tracestate",
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

// appendTo appends the names and values of fields that the script doesn't put in front, and the body.
func (f *fields) appendTo(args []any, body []byte) []any {
	for i, name := range fieldNames() {
		if f[i] != "" && i > fieldWriter {
			args = append(args, name, f[i])
		}
	}

	return append(args, nameBody, body)
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
	table := crc32.MakeTable(crc32.Castagnoli)
	crc := ^uint32(0)
	add := func(s string) {
		for i := range len(s) {
			crc = table[byte(crc)^s[i]] ^ crc>>8
		}
		crc = table[byte(crc)] ^ crc>>8 // a zero byte ends each value
	}
	add(id.Session)
	add(id.Stream)
	add(entry)
	for _, value := range f[:fieldParent] {
		add(value)
	}
	sum := crc32.Update(^crc, table, body)
	text := strconv.FormatUint(uint64(sum), 16)

	return strings.Repeat("0", crcDigits-len(text)) + text
}
