// Package sse reads the events of a session from the output service, as a client of it would: it parses server-sent
// events and turns them back into what the service saw.
package sse

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// ErrResync says that the place after the last id is not stored any more. What follows is the session from its oldest
// part on.
var ErrResync = errors.New("the reader's place is not stored any more")

// maxLine bounds a line of a response.
const maxLine = 1 << 20

// Decoder decodes the responses that one reader gets, one after another.
type Decoder struct {
	info stream.Info // of the stream that is being read
}

// Resume returns a decoder that goes on within a stream that another one has opened.
func Resume(info stream.Info) Decoder { return Decoder{info: info} }

// Events yields the events of a response until it breaks off, which is an error too: a session has no end. Only after
// [ErrResync] more may come.
func (d *Decoder) Events(body io.Reader) iter.Seq2[stream.SessionEvent, error] {
	return func(yield func(stream.SessionEvent, error) bool) {
		lines := bufio.NewScanner(body)
		lines.Buffer(nil, maxLine)
		field := map[string]string{}
		for lines.Scan() {
			if line := lines.Text(); line != "" {
				name, value, _ := strings.Cut(line, ":")
				field[name] = strings.TrimPrefix(value, " ")

				continue
			}
			if field["event"] != "" {
				e, err := d.decode(field)
				if !yield(e, err) || err != nil && !errors.Is(err, ErrResync) {
					return
				}
			}
			clear(field)
		}
		err := lines.Err()
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		yield(stream.SessionEvent{}, fmt.Errorf("read events: %w", err))
	}
}

// data holds the fields of all types of events.
type data struct {
	Stream    string            `json:"stream"`
	Component string            `json:"component"`
	Turn      string            `json:"turn"`
	Root      string            `json:"root"`
	Type      bus.DataType      `json:"type"`
	Index     uint64            `json:"index"`
	Text      *string           `json:"text"`
	Data      []byte            `json:"data"`
	From      uint64            `json:"from"`
	State     bus.State         `json:"state"`
	Reason    string            `json:"reason"`
	Meta      map[string]string `json:"meta"`
}

func (d *Decoder) decode(field map[string]string) (stream.SessionEvent, error) {
	if field["event"] == "resync" {
		d.info = stream.Info{}

		return stream.SessionEvent{}, ErrResync
	}
	cursor, err := stream.ParseSessionCursor(field["id"])
	if err != nil {
		return stream.SessionEvent{}, fmt.Errorf("decode event: %w", err)
	}
	var v data
	if err := json.Unmarshal([]byte(field["data"]), &v); err != nil {
		return stream.SessionEvent{}, fmt.Errorf("decode %s event: %w", field["event"], err)
	}
	e := stream.SessionEvent{Event: v.event(field["event"], cursor), Cursor: cursor}
	if e.Event.Kind == stream.KindOpened {
		d.info = stream.Info{Stream: v.Stream, Component: v.Component, Turn: v.Turn, Root: v.Root, Type: v.Type}
	}
	e.Info = d.info
	if v.Stream != d.info.Stream {
		e.Info = stream.Info{Stream: v.Stream, Root: d.info.Root}
	}

	return e, nil
}

// event returns the event of a type. The attempt is in the cursor.
func (v *data) event(name string, at stream.SessionCursor) stream.Event {
	switch name {
	case "open":
		return stream.Event{Kind: stream.KindOpened}
	case "chunk":
		if v.Text != nil {
			v.Data = []byte(*v.Text)
		}
		chunk := stream.Chunk{Index: v.Index, Data: v.Data, Attempt: int(at.Cursor.Attempt)}

		return stream.Event{Kind: stream.KindChunk, Chunk: chunk, Cursor: at.Cursor}
	case "superseded":
		return stream.Event{Kind: stream.KindSuperseded, From: v.From, Cursor: at.Cursor}
	case "end":
		end := stream.End{State: v.State, Reason: v.Reason, Meta: v.Meta}

		return stream.Event{Kind: stream.KindEnd, End: end, Cursor: at.Cursor}
	default:
		return stream.Event{}
	}
}
