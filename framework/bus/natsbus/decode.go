package natsbus

import (
	"fmt"
	"math"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/wire"
)

// decodeEntry returns the entry of stream id that is stored at seq. Errors: [wire.ErrForeign], [bus.ErrUnsupported] and
// [bus.ErrCorrupt]. The entry shares body and the headers' memory.
func decodeEntry(id bus.StreamID, seq uint64, h nats.Header, body []byte) (*bus.Entry, error) {
	known := value(h, headerFrame)
	f, ok := parseFields(known)
	switch {
	case known == "":
		return nil, wire.ErrForeign
	case f.version != protocolVersion:
		return nil, fmt.Errorf("frame of protocol version %.20q, this program reads %s: %w",
			f.version, protocolVersion, bus.ErrUnsupported)
	case !ok || !equalCRC(f.crc, checksum(known[:len(known)-wire.CRCDigits], h, body)):
		return nil, corrupt("checksum")
	case !names(f.stream, id):
		return nil, corrupt("stream name")
	}
	d := decoder{h: h, fields: f}
	e := &bus.Entry{Position: bus.Position{Minor: seq}, Frame: bus.Frame{ID: id, Body: body}}
	d.numbers(e)
	d.texts(&e.Frame)
	if d.bad != "" {
		return nil, corrupt(d.bad)
	}

	return e, nil
}

func corrupt(what string) error { return fmt.Errorf("%s: %w", what, bus.ErrCorrupt) }

// names reports whether s is id.String().
func names(s string, id bus.StreamID) bool {
	n := len(id.Session)

	return len(s) == n+1+len(id.Stream) && s[:n] == id.Session && s[n] == '/' && s[n+1:] == id.Stream
}

// decoder parses headers and remembers the first that is malformed.
type decoder struct {
	h      nats.Header
	fields fields
	bad    string
}

func (d *decoder) numbers(e *bus.Entry) {
	var ok bool
	e.Attempt = uint32(d.number("attempt", d.fields.attempt, bus.MaxAttempt))
	e.First = d.number("first", d.fields.first, bus.MaxIndex)
	if offset := value(d.h, headerOffset); offset != "" {
		e.Offset = int(d.number(headerOffset, offset, math.MaxInt32))
	}
	if e.Lengths, ok = wire.ParseLengths(value(d.h, headerLengths), len(e.Body)); !ok {
		d.bad = headerLengths
	}
	if e.Links.Text = value(d.h, headerLinks); e.Links.Text == "" { // who needs them reads them
		d.bad = headerLinks
	}
	more := value(d.h, headerMore)
	if e.More = more == yes; more != "" && (!e.More || len(e.Lengths) != 1) {
		d.bad = headerMore
	}
}

func (d *decoder) number(what, s string, most uint64) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > most {
		d.bad = what
	}

	return n
}

func (d *decoder) texts(f *bus.Frame) {
	if !wire.ParseWriter(f, d.text("writer", d.fields.writer, unescapeField)) {
		d.bad = "writer"
	}
	f.Type = bus.DataType(d.text("type", d.fields.kind, unescapeField))
	f.State = bus.State(d.text(headerState, value(d.h, headerState), unescapeHeader))
	f.Reason = d.text(headerReason, value(d.h, headerReason), unescapeHeader)
	f.Trace = getTrace(d.h)
	if begin := value(d.h, headerBegin); begin != "" {
		var err error
		f.Begin = true
		if f.After, err = bus.ParseCursor(begin); err != nil {
			d.bad = headerBegin
		}
	}
	if meta := value(d.h, headerMeta); meta != "" {
		var ok bool
		if f.Meta, ok = wire.ParseMeta(meta); !ok {
			d.bad = headerMeta
		}
	}
}

func (d *decoder) text(what, s string, unescape func(string) (string, error)) string {
	out, err := unescape(s)
	if err != nil {
		d.bad = what
	}

	return out
}
