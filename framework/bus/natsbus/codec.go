package natsbus

import (
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/wire"
)

// The headers of a frame. The body is the chunks' bytes and nothing else. What every frame has is in one header, because
// each more costs time at every hop; a header that would say nothing is absent.
const (
	headerFrame   = "Ww-Frame"   // see fields
	headerLengths = "Ww-Lengths" // "3,1,4"; absent: one chunk, the whole body; "none": no chunk
	headerOffset  = "Ww-Offset"  // bytes of the first chunk that earlier frames hold
	headerMore    = "Ww-More"    // "1": the chunk goes on in the next frame
	headerBegin   = "Ww-Begin"   // first frame of an attempt: the cursor behind the attempt before
	headerState   = "Ww-State"   // completed, failed or cancelled, in the last frame
	headerReason  = "Ww-Reason"  // percent-encoded
	headerMeta    = "Ww-Meta"    // query-encoded
	headerLinks   = "Ww-Links"   // see links.go
)

// headerVersion is the protocol version of a letter, a register or a dead letter. A frame has its own in its fields.
const headerVersion = "Ww-Version"

const (
	protocolVersion = "1"
	yes             = "1"
)

// fields is what every frame has, written with a space between two: the protocol version of all headers, session/stream,
// the number of the attempt from 1, the index of the first chunk, the writer and the life as [wire.Writer] writes them, the
// data type, and the CRC-32C of everything but the trace context, as 8 hexadecimal digits. Writer and type are
// percent-encoded; "-" stands for none.
type fields struct {
	version, stream, attempt, first, writer, kind, crc string
}

const nothing = "-"

// parseFields is the inverse of formatFields for the present version; of another one, only the version is known.
func parseFields(s string) (f fields, ok bool) {
	at := [...]*string{&f.version, &f.stream, &f.attempt, &f.first, &f.writer, &f.kind}
	for _, field := range at {
		if *field, s, ok = strings.Cut(s, " "); !ok {
			return f, false
		}
	}
	f.crc = s

	return f, len(s) == wire.CRCDigits
}

// appendFields writes the fields up to the space before the CRC.
func appendFields(out []byte, f *bus.Frame) []byte {
	out = append(out, protocolVersion...)
	out = append(out, ' ')
	out = append(out, f.ID.Session...)
	out = append(out, '/')
	out = append(out, f.ID.Stream...)
	out = append(out, ' ')
	out = strconv.AppendUint(out, uint64(f.Attempt), 10)
	out = append(out, ' ')
	out = strconv.AppendUint(out, f.First, 10)
	out = append(out, ' ')
	out = append(out, escapeField(wire.Writer(f))...)
	out = append(out, ' ')
	out = append(out, escapeField(string(f.Type))...)

	return append(out, ' ')
}

// escapeField makes any text safe as a field.
func escapeField(s string) string {
	switch s {
	case "":
		return nothing
	case nothing:
		return "%2D"
	}

	return strings.ReplaceAll(escapeHeader(s), " ", "%20")
}

// unescapeField is the inverse of escapeField.
func unescapeField(s string) (string, error) {
	if s == nothing {
		return "", nil
	}

	return unescapeHeader(s)
}

// encodeFrame returns the headers of a frame. The frame must have passed [wire.CheckFrame].
func encodeFrame(f *bus.Frame, links string) nats.Header {
	values := make([]string, 0, 8)
	h := make(nats.Header, 8)
	set := func(key, v string) {
		if v != "" {
			values = append(values, v)
			h[key] = values[len(values)-1 : len(values) : len(values)]
		}
	}
	set(headerLengths, wire.Lengths(f.Lengths))
	set(headerLinks, links)
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
	var room [256]byte
	known := appendFields(room[:0], f)
	set(headerFrame, string(wire.AppendCRC(known, checksum(known, h, f.Body))))

	return h
}

// checksum covers the fields up to the space before it, the stream's name included, so that no entry passes for one of
// another stream, every other header that decides what a frame is, and the body. The trace context may be rewritten on
// the way.
func checksum[T string | []byte](known T, h nats.Header, body []byte) uint32 {
	return wire.Checksum(body, func(texts []byte) []byte {
		texts = wire.Text(texts, known)
		for _, key := range [...]string{
			headerLengths, headerOffset, headerMore, headerBegin, headerState, headerReason, headerMeta, headerLinks,
		} {
			texts = wire.Text(texts, value(h, key))
		}

		return texts
	})
}

func equalCRC(s string, crc uint32) bool {
	n, err := strconv.ParseUint(s, 16, 32)

	return err == nil && len(s) == wire.CRCDigits && n == uint64(crc)
}
