package natsbus

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/wire"
)

// onWire writes a frame as it is on the wire, headers in order.
func onWire(h nats.Header, body []byte) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(h)) {
		b.WriteString(key + ": " + strings.Join(h[key], "; ") + "\n")
	}

	return b.String() + "\n" + string(body)
}

// TestWireForm holds the form still: a client in any language relies on it.
func TestWireForm(t *testing.T) {
	t.Parallel()
	id := bus.StreamID{Session: "alice", Stream: "answer-1"}
	for name, c := range map[string]struct {
		frame bus.Frame
		links []uint64
		want  string
	}{
		"the first frame of a stream": {
			bus.Frame{ID: id, Attempt: 1, Writer: "w7", Lengths: []int{5}, Type: bus.Text, Begin: true, Body: []byte("Hello")},
			[]uint64{0},
			`Ww-Begin: 0000000000000000
Ww-Frame: 1 alice/answer-1 1 0 w7 text 8a83b535
Ww-Links: 0

Hello`,
		},
		"several chunks": {
			bus.Frame{
				ID: id, Attempt: 2, Writer: "w7", First: 41, Lengths: []int{2, 0, 3}, Type: bus.Text, Body: []byte("Hello"),
				Trace: map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
			},
			[]uint64{3, 1000, 1036, 1100},
			`Ww-Frame: 1 alice/answer-1 2 41 w7 text da6510e4
Ww-Lengths: 2,0,3
Ww-Links: 3:rs,10,1s
traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01

Hello`,
		},
		"a part of a large chunk": {
			bus.Frame{ID: id, Attempt: 1, First: 7, Lengths: []int{2}, Offset: 1000, More: true, Type: bus.Audio, Body: []byte{65, 66}},
			[]uint64{1, 9},
			`Ww-Frame: 1 alice/answer-1 1 7 - audio 8c9b0b36
Ww-Links: 1:9
Ww-More: 1
Ww-Offset: 1000

AB`,
		},
		"the end": {
			bus.Frame{
				ID: id, Attempt: 1, First: 8, Type: bus.Text, State: bus.Failed, Reason: "no\r\nmöre",
				Meta: map[string]string{"tokens out": "7", "finish": "a=b&c"},
			},
			[]uint64{1, 9},
			`Ww-Frame: 1 alice/answer-1 1 8 - text 9d7bb8cc
Ww-Lengths: none
Ww-Links: 1:9
Ww-Meta: finish=a%3Db%26c&tokens+out=7
Ww-Reason: no%0D%0Am%C3%B6re
Ww-State: failed

`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, onWire(encodeFrame(&c.frame, encodeLinks(c.links)), c.frame.Body)); diff != "" {
				t.Errorf("wire form (-want +got):\n%s", diff)
			}
		})
	}
}

// overWire passes headers through the client's own encoding.
func overWire(t interface{ Fatal(args ...any) }, h nats.Header) nats.Header {
	var b strings.Builder
	b.WriteString("NATS/1.0\r\n")
	for key, values := range h {
		for _, v := range values {
			b.WriteString(key + ": " + v + "\r\n")
		}
	}
	b.WriteString("\r\n")
	got, err := nats.DecodeHeadersMsg([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}

	return got
}

func TestFrameCodec(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f, links := drawFrame(t), encodeLinks(drawLinks(t))
		if err := wire.CheckFrame(f); err != nil {
			t.Fatal(err)
		}
		e, err := decodeEntry(f.ID, 42, overWire(t, encodeFrame(f, links)), f.Body)
		if err != nil {
			t.Fatal(err)
		}
		want := &bus.Entry{Frame: *f, Position: bus.Position{Minor: 42}, Links: bus.Links{Text: links}}
		if diff := cmp.Diff(want, e, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("decoded frame (-want +got):\n%s", diff)
		}
	})
}

func drawFrame(t *rapid.T) *bus.Frame {
	id := rapid.StringMatching(`[A-Za-z0-9_-]{1,64}`)
	f := &bus.Frame{
		ID:      bus.StreamID{Session: id.Draw(t, "session"), Stream: id.Draw(t, "stream")},
		Attempt: rapid.Uint32Range(1, bus.MaxAttempt).Draw(t, "attempt"),
		Writer:  rapid.String().Draw(t, "writer"),
		First:   rapid.Uint64Range(0, bus.MaxIndex-100).Draw(t, "first"),
		Type:    bus.DataType(rapid.String().Draw(t, "type")),
		State:   rapid.SampledFrom([]bus.State{bus.Active, bus.Completed, bus.Failed, bus.Cancelled}).Draw(t, "state"),
		Reason:  rapid.String().Draw(t, "reason"),
		Meta:    rapid.MapOfN(rapid.String(), rapid.String(), 0, 4).Draw(t, "meta"),
		Begin:   rapid.Bool().Draw(t, "begin"),
		Offset:  rapid.IntRange(0, 1<<30).Draw(t, "offset"),
	}
	for range rapid.IntRange(0, 5).Draw(t, "chunks") {
		chunk := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "chunk")
		f.Body = append(f.Body, chunk...)
		f.Lengths = append(f.Lengths, len(chunk))
	}
	f.More = len(f.Lengths) == 1 && rapid.Bool().Draw(t, "more")
	if f.Begin {
		f.After = bus.CursorFromNumber(rapid.Uint64().Draw(t, "after"))
	}
	if rapid.Bool().Draw(t, "traced") {
		f.Trace = map[string]string{headerTraceParent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
		f.Trace[headerTraceState] = "a=b,c=d"
	}

	return f
}

// TestAnyChangeIsCorrupt changes one header or one bit of the body at a time.
func TestAnyChangeIsCorrupt(t *testing.T) {
	t.Parallel()
	f := &bus.Frame{
		ID: testID(1), Attempt: 1, Writer: "w", First: 3, Lengths: []int{2, 3}, Type: bus.Text, Begin: true,
		State: bus.Failed, Reason: "r", Meta: map[string]string{"k": "v"}, Body: []byte("Hello"),
	}
	links := "1:5"
	id := f.ID
	for key := range encodeFrame(f, links) {
		for _, change := range []string{"", "2", "x", "none"} {
			h := encodeFrame(f, links)
			if key == headerFrame || value(h, key) == change {
				continue
			}
			h[key] = []string{change}
			if _, err := decodeEntry(id, 1, h, f.Body); !errors.Is(err, bus.ErrCorrupt) {
				t.Errorf("%s changed to %q: %v, want %v", key, change, err, bus.ErrCorrupt)
			}
		}
	}
	known := value(encodeFrame(f, links), headerFrame)
	for i := len(protocolVersion) + 1; i < len(known); i++ {
		for _, change := range []byte{' ', '7', 'x', '%'} {
			if known[i] == change {
				continue
			}
			h := encodeFrame(f, links)
			h[headerFrame] = []string{known[:i] + string(change) + known[i+1:]}
			if _, err := decodeEntry(id, 1, h, f.Body); !errors.Is(err, bus.ErrCorrupt) {
				t.Errorf("fields changed to %q: %v, want %v", value(h, headerFrame), err, bus.ErrCorrupt)
			}
		}
	}
	for i := range f.Body {
		h := encodeFrame(f, links)
		body := slices.Clone(f.Body)
		body[i] ^= 4
		if _, err := decodeEntry(id, 1, h, body); !errors.Is(err, bus.ErrCorrupt) {
			t.Errorf("byte %d changed: %v, want %v", i, err, bus.ErrCorrupt)
		}
	}
	if _, err := decodeEntry(testID(2), 1, encodeFrame(f, links), f.Body); !errors.Is(err, bus.ErrCorrupt) {
		t.Errorf("frame of another stream: %v, want %v", err, bus.ErrCorrupt)
	}
	h := encodeFrame(f, links)
	h[headerFrame] = []string{"2 is said in other words"}
	if _, err := decodeEntry(id, 1, h, f.Body); !errors.Is(err, bus.ErrUnsupported) {
		t.Errorf("version 2: %v, want %v", err, bus.ErrUnsupported)
	}
	if _, err := decodeEntry(id, 1, nil, []byte(`{"stream":"WW","seq":1}`)); !errors.Is(err, wire.ErrForeign) {
		t.Errorf("an acknowledgement: %v, want %v", err, wire.ErrForeign)
	}
}

func FuzzDecodeEntry(f *testing.F) {
	id := testID(1)
	for _, seed := range []*bus.Frame{
		frame(id, 0, "Hello"),
		{ID: id, Attempt: 2, First: 3, Lengths: []int{1, 4}, Body: []byte("Hello"), Begin: true, After: bus.Cursor{Attempt: 1}},
		{ID: id, Attempt: 1, State: bus.Failed, Reason: "%", Meta: map[string]string{"a": "b"}},
	} {
		h := encodeFrame(seed, "1:5")
		known, _ := parseFields(value(h, headerFrame))
		f.Add(known.attempt, known.first, known.writer, value(h, headerLengths), value(h, headerOffset), value(h, headerMore),
			value(h, headerBegin), value(h, headerReason), value(h, headerMeta), value(h, headerLinks), seed.Body)
	}
	f.Fuzz(func(t *testing.T, attempt, first, writer, lengths, offset, more, begin, reason, meta, links string, body []byte) {
		h := nats.Header{}
		for key, v := range map[string]string{
			headerLengths: lengths, headerOffset: offset, headerMore: more, headerBegin: begin, headerReason: reason,
			headerMeta: meta, headerLinks: links,
		} {
			h[key] = []string{v}
		}
		known := strings.Join([]string{protocolVersion, id.String(), attempt, first, writer, "text", ""}, " ")
		crc := checksum(known, h, body) // else nothing would pass it
		h[headerFrame] = []string{string(wire.AppendCRC([]byte(known), crc))}
		e, err := decodeEntry(id, 1, h, body)
		if err != nil {
			return
		}
		if err := wire.CheckFrame(&e.Frame); err != nil {
			t.Errorf("accepted a frame that can't be written: %v", err)
		}
		again, err := decodeEntry(id, 1, encodeFrame(&e.Frame, e.Links.Text), body)
		if err != nil {
			t.Fatalf("a frame that was read can't be read again: %v", err)
		}
		if diff := cmp.Diff(e, again, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("read again (-first +second):\n%s", diff)
		}
	})
}

func FuzzAck(f *testing.F) {
	for _, s := range []string{
		`{"stream":"WW","seq":17}`, `{"stream":"WW", "seq":17}`, `{"stream":"WW","domain":"hub","seq":1}`,
		`{"stream":"WW","seq":1,"duplicate":true}`,
		`{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 3"},"stream":"WW","seq":0}`,
		`{"stream":"WW","seq":99999999999999999999999}`, `{"stream":"WW","seq":}`, `{"stream":"`, ``, `null`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		seq, err := parseAck(&nats.Msg{Data: data})
		if (seq == 0) != (err != nil) {
			t.Errorf("%q: sequence %d with error %v", data, seq, err)
		}
	})
}

func FuzzEscapeHeader(f *testing.F) {
	for _, s := range []string{"", " ", "a b", " a ", "%41", "\r\n", "ö", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		escaped := escapeHeader(s)
		h := overWire(t, nats.Header{"X": {escaped}})
		got, err := unescapeHeader(value(h, "X"))
		if err != nil || got != s {
			t.Errorf("%q became %q became %q, %v", s, escaped, got, err)
		}
	})
}
