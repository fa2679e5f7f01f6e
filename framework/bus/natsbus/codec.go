package natsbus

import (
	"hash/crc32"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/wire"
)

// The headers of a frame. The body is the chunks' bytes and nothing else. A header that would say nothing is absent.
const (
	headerVersion = "Ww-Version" // protocol version of all other headers
	headerStream  = "Ww-Stream"  // session/stream
	headerAttempt = "Ww-Attempt" // number of the attempt, from 1
	headerWriter  = "Ww-Writer"  // random id of the writer
	headerFirst   = "Ww-First"   // index of the first chunk
	headerLengths = "Ww-Lengths" // "3,1,4"; absent: one chunk, the whole body; "none": no chunk
	headerOffset  = "Ww-Offset"  // bytes of chunk First that earlier frames hold
	headerMore    = "Ww-More"    // "1": the chunk goes on in the next frame
	headerType    = "Ww-Type"    // data type
	headerBegin   = "Ww-Begin"   // first frame of an attempt: the cursor behind the attempt before
	headerState   = "Ww-State"   // completed, failed or cancelled, in the last frame
	headerReason  = "Ww-Reason"  // percent-encoded
	headerMeta    = "Ww-Meta"    // query-encoded
	headerLinks   = "Ww-Links"   // see links.go
	headerCRC     = "Ww-Crc"     // CRC-32C of the values above and the body
)

const (
	protocolVersion = "1"
	yes             = "1"
	crcDigits       = 8
)

// encodeFrame returns the headers of a frame. The frame must have passed [wire.CheckFrame].
func encodeFrame(f *bus.Frame, links []uint64) nats.Header {
	values := make([]string, 0, 16)
	h := make(nats.Header, 16)
	set := func(key, v string) {
		if v != "" {
			values = append(values, v)
			h[key] = values[len(values)-1 : len(values) : len(values)]
		}
	}
	set(headerVersion, protocolVersion)
	set(headerStream, f.ID.Session+"/"+f.ID.Stream)
	set(headerAttempt, strconv.FormatUint(uint64(f.Attempt), 10))
	set(headerWriter, escapeHeader(f.Writer))
	set(headerFirst, strconv.FormatUint(f.First, 10))
	set(headerLengths, wire.Lengths(f.Lengths))
	set(headerType, escapeHeader(string(f.Type)))
	set(headerLinks, encodeLinks(links))
	if f.Offset > 0 {
		set(headerOffset, strconv.Itoa(f.Offset))
	}
	if f.More {
		set(headerMore, yes)
	}
	if f.Begin {
		set(headerBegin, f.After.String())
	}
	set(headerState, escapeHeader(string(f.State)))
	set(headerReason, escapeHeader(f.Reason))
	if len(f.Meta) > 0 {
		set(headerMeta, wire.Meta(f.Meta))
	}
	setTrace(h, f.Trace)
	set(headerCRC, formatCRC(checksum(h, f.Body)))

	return h
}

// checksum covers every header that decides what a frame is, the stream's name included, so that no entry passes for
// one of another stream. The trace context may be rewritten on the way.
func checksum(h nats.Header, body []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	crc := ^uint32(0)
	for _, key := range [...]string{
		headerVersion, headerStream, headerAttempt, headerWriter, headerFirst, headerLengths, headerOffset, headerMore,
		headerType, headerBegin, headerState, headerReason, headerMeta, headerLinks,
	} {
		v := value(h, key)
		for i := range len(v) {
			crc = table[byte(crc)^v[i]] ^ crc>>8
		}
		crc = table[byte(crc)] ^ crc>>8 // a zero byte ends each value
	}

	return crc32.Update(^crc, table, body)
}

func formatCRC(crc uint32) string {
	const digits = "0123456789abcdef"
	var out [crcDigits]byte
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = digits[crc&15]
		crc >>= 4
	}

	return string(out[:])
}

func equalCRC(s string, crc uint32) bool {
	n, err := strconv.ParseUint(s, 16, 32)

	return err == nil && len(s) == crcDigits && n == uint64(crc)
}
