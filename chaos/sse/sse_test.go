package sse_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/chaos/sse"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAResponseBecomesWhatTheServiceSaw(t *testing.T) {
	t.Parallel()
	const head, rest = `retry: 2000

id: 0000000000000001-0000000000000000
event: open
data: {"stream":"a","component":"llm","turn":"t","root":"t","type":"text"}

:

id: 0000000000000001-0000040000000001
event: chunk
data: {"stream":"a","index":0,"text":"Hi"}

`, `id: 0000000000000001-0000080000000000
event: superseded
data: {"stream":"a","from":0}

id: 0000000000000001-0000080000000001
event: chunk
data: {"stream":"a","index":0,"data":"5g=="}

id: 0000000000000001-0000080000000002
event: end
data: {"stream":"a","state":"failed","reason":"why"}

id: 00`
	var (
		d    sse.Decoder
		got  []stream.SessionEvent
		errs int
	)
	for _, response := range []string{head, rest} {
		for e, err := range d.Events(strings.NewReader(response)) {
			if err == nil {
				got = append(got, e)

				continue
			}
			errs++
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Error(err)
			}
		}
	}
	info := stream.Info{Stream: "a", Component: "llm", Turn: "t", Root: "t", Type: bus.Text}
	at := func(attempt uint32, index uint64, ev stream.Event) stream.SessionEvent {
		ev.Cursor = bus.Cursor{Attempt: attempt, Index: index}

		return stream.SessionEvent{Info: info, Event: ev, Cursor: stream.SessionCursor{Position: 1, Cursor: ev.Cursor}}
	}
	want := []stream.SessionEvent{
		at(0, 0, stream.Event{Kind: stream.KindOpened}),
		at(1, 1, stream.Event{Kind: stream.KindChunk, Chunk: stream.Chunk{Data: []byte("Hi"), Attempt: 1}}),
		at(2, 0, stream.Event{Kind: stream.KindSuperseded}),
		at(2, 1, stream.Event{Kind: stream.KindChunk, Chunk: stream.Chunk{Data: []byte{0xe6}, Attempt: 2}}),
		at(2, 2, stream.Event{Kind: stream.KindEnd, End: stream.End{State: bus.Failed, Reason: "why"}}),
	}
	if diff := cmp.Diff(want, got); diff != "" || errs != 2 {
		t.Errorf("%d errors; events (-want +got):\n%s", errs, diff)
	}
}

// TestALostPlaceIsNoEnd tells of it, and then of what follows.
func TestALostPlaceIsNoEnd(t *testing.T) {
	t.Parallel()
	opening := stream.SessionCursor{Position: 1}.String()
	response := "id:\nevent: resync\ndata: {}\n\nid: " + opening + "\nevent: open\ndata: {\"stream\":\"a\",\"root\":\"t\"}\n\n"
	d := sse.Resume(stream.Info{Stream: "b", Root: "u"})
	var got []string
	for e, err := range d.Events(strings.NewReader(response)) {
		switch {
		case errors.Is(err, sse.ErrResync):
			got = append(got, "resync")
		case err != nil:
			got = append(got, "end")
		default:
			got = append(got, e.Info.Root)
		}
	}
	if diff := cmp.Diff([]string{"resync", "t", "end"}, got); diff != "" {
		t.Errorf("what the reader gets (-want +got):\n%s", diff)
	}
}

func TestNonsenseIsAnError(t *testing.T) {
	t.Parallel()
	for response, want := range map[string]error{
		"id: x\nevent: open\ndata: {}\n\n": bus.ErrInvalid,
		"event: open\ndata: {\n\n":         nil,
	} {
		var d sse.Decoder
		for e, err := range d.Events(strings.NewReader(response)) {
			if err == nil || want != nil && !errors.Is(err, want) {
				t.Errorf("%q gives %+v, %v", response, e, err)
			}
		}
	}
}
