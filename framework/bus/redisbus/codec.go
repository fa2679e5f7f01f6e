package redisbus

import (
	"fmt"
	"math"
	"strconv"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/wire"
)

const (
	protocolVersion = "1"
	yes             = "1"
	// maxFields bounds what an entry holds beside its body.
	maxFields = 64 << 10
	// packedExtra is room for an entry's id and the lengths of all texts of a frame.
	packedExtra = 192
	// maxTexts bounds the texts of a frame, which a newer version may have more of than the usual ones.
	maxTexts   = 256
	usualTexts = 32
)

// encodeFrame returns the fields of a frame that is stored as this entry. The frame must have passed [wire.CheckFrame].
func encodeFrame(f *bus.Frame, entry string) fields {
	v := fields{
		fieldVersion: protocolVersion, fieldWriter: wire.Writer(f), fieldType: string(f.Type), fieldLengths: wire.Lengths(f.Lengths),
		fieldState: string(f.State), fieldReason: f.Reason,
	}
	if f.Offset > 0 {
		v[fieldOffset] = strconv.Itoa(f.Offset)
	}
	if f.More {
		v[fieldMore] = yes
	}
	if f.Begin {
		v[fieldBegin] = f.After.String()
	}
	if len(f.Meta) > 0 {
		v[fieldMeta] = wire.Meta(f.Meta)
	}
	if parent := f.Trace["traceparent"]; parent != "" {
		v[fieldParent], v[fieldTraceState] = parent, f.Trace["tracestate"]
	}
	v[fieldCRC] = v.checksum(f.ID, entry, f.Body)

	return v
}

// decodeEntry returns the entry that has this id and these fields, names and values in turn. Errors:
// [wire.ErrForeign], [bus.ErrUnsupported] and [bus.ErrCorrupt].
func decodeEntry(id bus.StreamID, entry string, list []string) (*bus.Entry, error) {
	var (
		v    fields
		body []byte
	)
	for i := 0; i+1 < len(list); i += 2 {
		if list[i] == nameBody {
			body = []byte(list[i+1])
		} else {
			v.set(list[i], list[i+1])
		}
	}
	position, placed := parseEntryID(entry)
	switch v[fieldVersion] {
	case protocolVersion:
	case "":
		return nil, wire.ErrForeign
	default:
		return nil, fmt.Errorf("frame of protocol version %.20q, this program reads %s: %w",
			v[fieldVersion], protocolVersion, bus.ErrUnsupported)
	}
	switch {
	case !placed:
		return nil, corrupt("id")
	case v[fieldCRC] != v.checksum(id, entry, body):
		return nil, corrupt("checksum")
	}
	e := &bus.Entry{Position: position, Frame: bus.Frame{
		ID: id, Attempt: uint32(position.Major), First: position.Minor >> repeatBits, Body: body,
		Type: bus.DataType(v[fieldType]), State: bus.State(v[fieldState]), Reason: v[fieldReason],
		Begin: v[fieldBegin] != "", More: v[fieldMore] == yes, Trace: v.trace(),
	}}
	if err := v.parse(e); err != nil {
		return nil, err
	}

	return e, nil
}

func corrupt(what string) error { return fmt.Errorf("%s: %w", what, bus.ErrCorrupt) }

// parse reads the fields that are no text.
func (f *fields) parse(e *bus.Entry) error {
	var ok bool
	if !wire.ParseWriter(&e.Frame, f[fieldWriter]) {
		return corrupt("writer")
	}
	if e.Lengths, ok = wire.ParseLengths(f[fieldLengths], len(e.Body)); !ok {
		return corrupt("lengths")
	}
	if f[fieldMore] != "" && (!e.More || len(e.Lengths) != 1) {
		return corrupt("more")
	}
	if s := f[fieldOffset]; s != "" {
		n, ok := wire.ParseUint(s, 10)
		if !ok || n > math.MaxInt32 {
			return corrupt("offset")
		}
		e.Offset = int(n)
	}
	if e.Begin {
		var err error
		if e.After, err = bus.ParseCursor(f[fieldBegin]); err != nil {
			return corrupt("begin")
		}
	}
	if f[fieldMeta] != "" {
		if e.Meta, ok = wire.ParseMeta(f[fieldMeta]); !ok {
			return corrupt("meta")
		}
	}
	if e.First > bus.MaxIndex-uint64(len(e.Lengths)) {
		return corrupt("index")
	}

	return nil
}

// trace returns the W3C trace context, or nil.
func (f *fields) trace() map[string]string {
	if f[fieldParent] == "" {
		return nil
	}
	trace := map[string]string{"traceparent": f[fieldParent]}
	if f[fieldTraceState] != "" {
		trace["tracestate"] = f[fieldTraceState]
	}

	return trace
}

// packBegin returns how the frame of an entry begins, and that of no other writer or place.
func packBegin(e *bus.Entry) []byte {
	return pack(entryID(e.Position), nameVersion, protocolVersion, nameWriter, wire.Writer(&e.Frame))
}

// packFrame returns the form in which a frame is stored and published: the entry's id, then names and values in turn; and
// the length of its packBegin. The frame must have passed [wire.CheckFrame].
func packFrame(f *bus.Frame, p bus.Position) (frame []byte, begin int, err error) {
	id := entryID(p)
	v := encodeFrame(f, id)
	n := v.size()
	if n > maxFields {
		return nil, 0, fmt.Errorf("fields of %d bytes: %w", n, bus.ErrTooLarge)
	}
	frame = make([]byte, 0, n+len(f.Body)+packedExtra)
	frame = appendPacked(frame, id)
	for i, name := range fieldNames() {
		if v[i] != "" || i <= fieldWriter {
			frame = appendPacked(appendPacked(frame, name), v[i])
		}
		if i == fieldWriter {
			begin = len(frame)
		}
	}
	frame = appendPacked(frame, nameBody)

	return appendPacked(frame, f.Body), begin, nil
}

// decodeStored returns the entry of a stream that has this id and these fields. Errors are those of decodeEntry.
func decodeStored(id bus.StreamID, m stored) (*bus.Entry, error) {
	if len(m.fields) < 2 || m.fields[0] != nameFrame {
		return nil, wire.ErrForeign
	}
	e, err := decodeFrame(id, m.fields[1])
	if err == nil && entryID(e.Position) != m.id {
		return nil, corrupt("id")
	}

	return e, err
}

// decodeFrame returns the entry that packFrame wrote. Errors are those of decodeEntry.
func decodeFrame(id bus.StreamID, frame string) (*bus.Entry, error) {
	list, ok := unpack(frame)
	if !ok || len(list) == 0 {
		return nil, wire.ErrForeign
	}

	return decodeEntry(id, list[0], list[1:])
}
