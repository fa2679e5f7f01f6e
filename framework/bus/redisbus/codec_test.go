package redisbus

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/wire"
)

// stringsOf returns what is stored of a frame, names and values in turn.
func stringsOf(tb interface{ Fatal(args ...any) }, f *bus.Frame, entry string) []string {
	p, _ := parseEntryID(entry)
	frame, begin, err := packFrame(f, p)
	if err != nil {
		tb.Fatal(err)
	}
	if want := string(packBegin(&bus.Entry{Frame: *f, Position: p})); string(frame[:begin]) != want {
		tb.Fatal(fmt.Sprintf("the frame begins %q, want %q", frame[:begin], want))
	}
	list, ok := unpack(string(frame))
	if !ok || list[0] != entry {
		tb.Fatal(fmt.Sprintf("packed %q", frame))
	}

	return list[1:]
}

// TestStoredForm holds the form still: a client in any language relies on it.
func TestStoredForm(t *testing.T) {
	t.Parallel()
	id := bus.StreamID{Session: "alice", Stream: "answer-1"}
	for name, c := range map[string]struct {
		frame bus.Frame
		entry string
		want  string
	}{
		"the first frame of a stream": {
			bus.Frame{ID: id, Attempt: 1, Writer: "w7", Lengths: []int{5}, Type: bus.Text, Begin: true, Body: []byte("Hello")},
			"1-0", "v 1 writer w7 type text begin 0000000000000000 crc 9725d882 body Hello",
		},
		"several chunks": {
			bus.Frame{
				ID: id, Attempt: 2, Writer: "w7", First: 41, Lengths: []int{2, 0, 3}, Type: bus.Text, Body: []byte("Hello"),
				Trace: map[string]string{"traceparent": "00-4b-00-01", "tracestate": "a=b"},
			},
			"2-2686976", "v 1 writer w7 type text lengths 2,0,3 traceparent 00-4b-00-01 tracestate a=b crc d0cfb26d body Hello",
		},
		"a part of a large chunk": {
			bus.Frame{ID: id, Attempt: 1, First: 7, Lengths: []int{2}, Offset: 1000, More: true, Type: bus.Audio, Body: []byte("AB")},
			"1-458753", "v 1 writer  type audio offset 1000 more 1 crc 207219bf body AB",
		},
		"the end": {
			bus.Frame{ID: id, Attempt: 1, First: 9, State: bus.Failed, Reason: "no power", Meta: map[string]string{"a b": "c"}},
			"1-589824", "v 1 writer  lengths none state failed reason no power meta a+b=c crc c372506e body ",
		},
	} {
		if got := strings.Join(stringsOf(t, &c.frame, c.entry), " "); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

func frames() *rapid.Generator[bus.Frame] {
	return rapid.Custom(func(t *rapid.T) bus.Frame {
		f := bus.Frame{
			ID:      bus.StreamID{Session: "session", Stream: rapid.StringMatching(`[ab]`).Draw(t, "stream")},
			Attempt: rapid.Uint32Range(1, bus.MaxAttempt).Draw(t, "attempt"),
			First:   rapid.Uint64Range(0, bus.MaxIndex-10).Draw(t, "first"),
			Writer:  rapid.String().Draw(t, "writer"),
			Lengths: rapid.SliceOfN(rapid.IntRange(0, 5), 0, 9).Draw(t, "lengths"),
			Type:    bus.DataType(rapid.StringMatching(`[a-z]{0,5}`).Draw(t, "type")),
			State:   rapid.SampledFrom([]bus.State{bus.Active, bus.Completed, bus.Failed, bus.Cancelled}).Draw(t, "state"),
			Reason:  rapid.String().Draw(t, "reason"),
			Meta:    rapid.MapOfN(rapid.String(), rapid.String(), 0, 3).Draw(t, "meta"),
			Offset:  rapid.IntRange(0, 1<<20).Draw(t, "offset"),
		}
		for _, n := range f.Lengths {
			f.Body = append(f.Body, rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "chunk")...)
		}
		f.More = len(f.Lengths) == 1 && rapid.Bool().Draw(t, "more")
		if f.Begin = rapid.Bool().Draw(t, "begin"); f.Begin {
			f.After = bus.CursorFromNumber(rapid.Uint64().Draw(t, "after"))
		}
		if rapid.Bool().Draw(t, "traced") {
			f.Trace = map[string]string{"traceparent": "00-1-2-3"}
		}

		return f
	})
}

func TestFramesComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := frames().Draw(t, "frame")
		if err := wire.CheckFrame(&f); err != nil {
			t.Fatal(err)
		}
		p := must2(t)(place(&f, nil))
		p.Minor += rapid.Uint64Range(0, maxRepeat).Draw(t, "repeat")
		list := stringsOf(t, &f, entryID(p))
		packed := string(pack(append([]string{entryID(p)}, list...)...))
		want := &bus.Entry{Frame: f, Position: p}
		for how, decode := range map[string]func() (*bus.Entry, error){
			"stored": func() (*bus.Entry, error) {
				return decodeStored(f.ID, stored{id: entryID(p), fields: []string{nameFrame, packed}})
			},
			"live": func() (*bus.Entry, error) { return decodeFrame(f.ID, packed) },
		} {
			got, err := decode()
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
				t.Errorf("%s: %v (-want +got):\n%s", how, err, diff)
			}
		}
	})
}

func must2(t *rapid.T) func(p bus.Position, err error) bus.Position {
	return func(p bus.Position, err error) bus.Position {
		if err != nil {
			t.Fatal(err)
		}

		return p
	}
}

// Whatever is changed of an entry that says what it is or where, its checksum notices.
func TestAChangedEntryIsCorrupt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := frames().Draw(t, "frame")
		p := must2(t)(place(&f, nil))
		list, id, entry := stringsOf(t, &f, entryID(p)), f.ID, entryID(p)
		switch i := rapid.IntRange(-2, len(list)/2-1).Draw(t, "what"); i {
		case -2:
			id.Stream += "x"
		case -1:
			p.Minor++
			entry = entryID(p)
		default:
			name := list[2*i]
			if strings.HasPrefix(name, "trace") || name == "v" {
				return
			}
			list = slices.Clone(list)
			list[2*i+1] += "x"
		}
		if e, err := decodeEntry(id, entry, list); !errors.Is(err, bus.ErrCorrupt) {
			t.Errorf("read as %+v, %v", e, err)
		}
	})
}

// Ids of entries are in the order of frames, and the place of a cursor is not behind the frame that holds its chunk.
func TestPlacesAreInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f, g := frames().Draw(t, "frame"), frames().Draw(t, "next")
		g.ID = f.ID
		after := &bus.Entry{Frame: f, Position: must2(t)(place(&f, nil))}
		after.Position.Minor += rapid.Uint64Range(0, maxRepeat-1).Draw(t, "repeat")
		p := must2(t)(place(&g, after))
		forward := g.Attempt > f.Attempt || g.Attempt == f.Attempt && g.First >= f.First
		if goesBack(p, after) == forward {
			t.Errorf("%v behind %v goes back: %v", p, after.Position, !forward)
		}
		if got, ok := parseEntryID(entryID(p)); got != p || !ok {
			t.Errorf("%v is read as %v", p, got)
		}
		at, ok := parseEntryID(entryID(bus.Position{Major: uint64(g.Attempt), Minor: g.First << repeatBits}))
		if !ok || at.Major != p.Major || at.Minor > p.Minor {
			t.Errorf("the frame at %v is looked for from %v", p, at)
		}
	})
}

func FuzzDecode(f *testing.F) {
	good := frame(testID(1), 3, "text")
	f.Add("1-196608", string(pack(stringsOf(f, good, "1-196608")...)))
	f.Add("0-0", string(pack("v", "1", "crc", "", "body", "")))
	f.Add("1-0", "1:v1:13:crc")
	f.Fuzz(func(t *testing.T, entry, fields string) {
		list, ok := unpack(fields)
		if !ok {
			return
		}
		if again := string(pack(list...)); again != fields {
			t.Errorf("%q is unpacked and packed as %q", fields, again)
		}
		// With a checksum that fits, what is behind it is reached.
		for i := 0; i+1 < len(list); i += 2 {
			if list[i] == "crc" && list[i+1] == "fix" {
				list[i+1] = fitting(list, entry)
			}
		}
		e, err := decodeEntry(testID(1), entry, list)
		switch {
		case err != nil && !errors.Is(err, wire.ErrForeign) && !errors.Is(err, bus.ErrUnsupported) && !errors.Is(err, bus.ErrCorrupt):
			t.Errorf("error is %v", err)
		case err == nil:
			if err := wire.CheckFrame(&e.Frame); err != nil {
				t.Errorf("decoded %+v: %v", e, err)
			}
		}
	})
}

// fitting returns the checksum of fields.
func fitting(list []string, entry string) string {
	var (
		v    fields
		body string
	)
	for i := 0; i+1 < len(list); i += 2 {
		v.set(list[i], list[i+1])
		if list[i] == nameBody {
			body = list[i+1]
		}
	}

	return v.checksum(testID(1), entry, []byte(body))
}

func FuzzNote(f *testing.F) {
	n := note{
		kind: noteRequest, process: "p", call: "1", seq: 2, timeout: 3, code: "c", header: map[string]string{"a": "b"}, body: "x",
	}
	f.Add(string(n.pack()))
	f.Add("1:v1:1")
	f.Fuzz(func(t *testing.T, payload string) {
		n, err := unpackNote(payload)
		if err != nil {
			return
		}
		again, err := unpackNote(string(n.pack()))
		if diff := cmp.Diff(n, again, cmp.AllowUnexported(note{}), cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}
