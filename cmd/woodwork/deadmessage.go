package main

import (
	"encoding/json"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/envelope"
	"github.com/woodwork-go/woodwork/subjects"
)

// messageFacts is what is printed of a message in place of a turn's record: all but its content.
type messageFacts struct {
	EventType string `json:"event_type"`
	Source    string `json:"source,omitempty"`
	Target    string `json:"target,omitempty"`
	Retries   int    `json:"retries"`
}

// printable returns a dead letter as it may be printed. That of a message gets the message's payload for its input, which
// is printed on request only; one that can't be read is input as a whole.
func printable(l *bus.DeadLetter) *bus.DeadLetter {
	if _, ok := subjects.ParseMessageBox(l.Component); !ok {
		return l
	}

	p := *l
	p.Body, p.Input, p.InputType = nil, l.Body, ""

	var m envelope.Message
	if json.Unmarshal(l.Body, &m) != nil {
		return &p
	}

	facts, err := json.Marshal(messageFacts{m.EventType, m.Source, m.Target, m.RetryCount})
	if err != nil {
		return &p
	}

	p.Body, p.Input, p.InputType = facts, m.Payload, bus.JSON

	return &p
}
