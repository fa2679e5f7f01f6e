package bustest

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func frameCases() []promise {
	return []promise{
		{name: "log/every field comes back", run: fieldsComeBack, faults: true},
		{name: "log/bytes are never changed", run: bytesUnchanged, faults: true},
		{name: "log/malformed frames are invalid", run: malformedFrames},
	}
}

// frames returns a frame for each way a field can be.
func frames() map[string]bus.Frame {
	const hostile = "first line\r\nNats-Msg-Id: x\r\n\r\n\"quotes\" : = , ; % \t naïve 日本語 🎉 end "

	all := map[string]bus.Frame{
		"begins":         {},
		"empty chunk":    {Lengths: []int{0}},
		"empty between":  {Lengths: []int{0, 3, 0, 0, 2, 0}, Body: []byte("abcde")},
		"first part":     {Lengths: []int{4}, More: true, Body: []byte("part")},
		"middle part":    {Lengths: []int{4}, Offset: 1 << 20, More: true, First: 7, Body: []byte("part")},
		"last part":      {Lengths: []int{4}, Offset: 1 << 22, First: 7, Body: []byte("part")},
		"empty part":     {Lengths: []int{0}, Offset: 9, First: 7},
		"begins again":   {Attempt: 3, Begin: true, First: 5, After: bus.Cursor{Attempt: 2, Index: 9}},
		"greatest":       {Attempt: bus.MaxAttempt, First: bus.MaxIndex - 1, Lengths: []int{1}, Body: []byte("x")},
		"greatest after": {Attempt: 9, Begin: true, After: bus.Cursor{Attempt: bus.MaxAttempt, Index: bus.MaxIndex}},
		"completed":      {First: 12, State: bus.Completed, Meta: map[string]string{"usage": "12", "Usage": "13"}},
		"failed": {
			First: 3, State: bus.Failed, Reason: hostile, Lengths: []int{1}, Body: []byte("x"),
			Meta: map[string]string{"": "no key", hostile: hostile, "empty": "", "a b": " spaces ", "x:y": ":"},
		},
		"cancelled": {State: bus.Cancelled, Reason: strings.Repeat("long ", 500)},
		"traced": {
			Lengths: []int{1}, Body: []byte("x"),
			Trace: map[string]string{
				"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=1,b=2",
			},
		},
		"a thousand chunks": {Lengths: slices.Repeat([]int{1}, 1000), Body: []byte(strings.Repeat("y", 1000))},
	}

	for _, d := range []bus.DataType{bus.Text, bus.JSON, bus.Audio, bus.Image, bus.Binary} {
		all["type "+string(d)] = bus.Frame{Type: d, Lengths: []int{2}, Body: []byte("{}")}
	}

	return all
}

func fieldsComeBack(t *testing.T, s *suite) {
	b := s.open(t)

	for name, f := range frames() {
		f.ID, f.Writer = newStream(), newID("writer")
		f.Attempt, f.Type = max(f.Attempt, 1), bus.DataType(strings.Clone(string(f.Type)))

		if f.Type == "" {
			f.Type = bus.Text
		}

		w := newWriter(b, f.ID, f.Attempt)
		followed := make(chan *bus.Entry, 16)
		stop := must[func()](t)(b.Follow(t.Context(), f.ID, func(e *bus.Entry) { offer(followed, e) }))

		if err := w.put(t.Context(), copyFrame(&f)); err != nil {
			t.Errorf("%s: %v", name, err)
			stop()

			continue
		}

		same(t, name+" from append", f, w.last.Frame)
		same(t, name+" from last", f, must[*bus.Entry](t)(lastOf(t.Context(), b, f.ID)).Frame)

		for _, e := range readAll(t, b, f.ID) {
			same(t, name+" from read", f, e.Frame)
		}

		if s.faults == nil {
			if e := receive(t, name, followed); e != nil { // nil: it says that it missed the entry.
				same(t, name+" from follow", f, e.Frame)
			}
		}

		stop()
	}
}

// offer puts an entry into a channel unless that is full.
func offer[T any](to chan<- T, v T) {
	select {
	case to <- v:
	default:
	}
}

func bytesUnchanged(t *testing.T, s *suite) {
	b := s.open(t)

	every := make([]byte, 0, 1<<16)
	for i := range 256 {
		for j := range 256 {
			every = append(every, byte(i), byte(j))
		}
	}

	w := newWriter(b, newStream(), 1)
	bodies := []string{
		string(every), "\r\n\r\n", "NATS/1.0\r\nStatus: 503\r\n\r\n", "$5\r\nhello\r\n", "\x00", "\xff\xfe\xed invalid \xc3",
		"{\"a\": 1 }\n", " \t ", "naïve 日本語 🎉",
	}

	for _, body := range bodies {
		w.send(t, body)
	}

	for i, e := range wantLog(t, b, w.id, len(bodies)) {
		same(t, "body", bodies[i], string(e.Body))
	}
}

func malformedFrames(t *testing.T, s *suite) {
	b := s.open(t)
	id := newStream()

	bad := map[string]bus.Frame{
		"no attempt":           {Attempt: 0},
		"attempt too great":    {Attempt: bus.MaxAttempt + 1},
		"index too great":      {Attempt: 1, First: bus.MaxIndex + 1},
		"lengths too long":     {Attempt: 1, Lengths: []int{3}, Body: []byte("ab")},
		"lengths too short":    {Attempt: 1, Lengths: []int{1}, Body: []byte("ab")},
		"body without lengths": {Attempt: 1, Body: []byte("ab")},
		"negative length":      {Attempt: 1, Lengths: []int{3, -1}, Body: []byte("ab")},
		"negative offset":      {Attempt: 1, Lengths: []int{2}, Offset: -1, Body: []byte("ab")},
		"two chunks in parts":  {Attempt: 1, Lengths: []int{1, 1}, More: true, Body: []byte("ab")},
		"more of nothing":      {Attempt: 1, More: true},
	}

	for name, f := range maps.All(bad) {
		f.ID, f.Writer, f.Type, f.Begin = id, "writer", bus.Text, true
		_, err := b.Append(t.Context(), &f, nil)
		wantErr(t, name, err, bus.ErrInvalid)
	}

	if e := must[*bus.Entry](t)(b.Last(t.Context(), id)); e != nil {
		t.Errorf("stored %+v", e)
	}
}
