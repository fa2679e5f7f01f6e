package web

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// The types of events.
const (
	eventOpen       = "open"
	eventChunk      = "chunk"
	eventSuperseded = "superseded"
	eventEnd        = "end"
	eventResync     = "resync"
)

type openData struct {
	Stream    string       `json:"stream"`
	Component string       `json:"component"`
	Turn      string       `json:"turn"`
	Root      string       `json:"root,omitempty"`
	Type      bus.DataType `json:"type"`
}

type chunkData struct {
	Stream string  `json:"stream"`
	Index  uint64  `json:"index"`
	Text   *string `json:"text,omitempty"`
	Data   []byte  `json:"data,omitempty"`
}

type supersededData struct {
	Stream string `json:"stream"`
	From   uint64 `json:"from"`
}

type endData struct {
	Stream string            `json:"stream"`
	State  bus.State         `json:"state"`
	Reason string            `json:"reason,omitempty"`
	Meta   map[string]string `json:"meta,omitempty"`
}

type resyncData struct {
	Reason string `json:"reason"`
}

// encode returns an event of a session as it is sent.
func encode(e stream.SessionEvent) ([]byte, error) {
	kind, data := describe(e)

	return format(e.Cursor.String(), kind, data)
}

// describe returns the type and data of an event.
func describe(e stream.SessionEvent) (string, any) {
	id := e.Info.Stream

	switch e.Event.Kind {
	case stream.KindOpened:
		return eventOpen, openData{id, e.Info.Component, e.Info.Turn, e.Info.Root, e.Info.Type}
	case stream.KindSuperseded:
		return eventSuperseded, supersededData{id, e.Event.From}
	case stream.KindEnd:
		end := e.Event.End

		return eventEnd, endData{id, end.State, end.Reason, end.Meta}
	case stream.KindChunk:
		return eventChunk, describeChunk(id, e.Info.Type, e.Event.Chunk)
	default:
		return "unknown", struct{}{}
	}
}

func describeChunk(id string, kind bus.DataType, c stream.Chunk) chunkData {
	isText := kind == bus.Text || kind == bus.JSON || kind == ""
	if !isText || !utf8.Valid(c.Data) {
		return chunkData{Stream: id, Index: c.Index, Data: c.Data}
	}

	text := string(c.Data)

	return chunkData{Stream: id, Index: c.Index, Text: &text}
}

// format returns an event with an id. An empty id makes clients forget the id they had.
func format(id, kind string, data any) ([]byte, error) {
	encoded, err := json.Marshal(data) // never holds a line feed
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}

	return fmt.Appendf(nil, "id: %s\nevent: %s\ndata: %s\n\n", id, kind, encoded), nil
}
