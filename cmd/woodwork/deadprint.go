package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// deadView is a dead letter for programs.
type deadView struct {
	ID         string            `json:"id"`
	Component  string            `json:"component"`
	Session    string            `json:"session"`
	At         time.Time         `json:"at"`
	Reason     string            `json:"reason"`
	Attempts   []bus.DeadAttempt `json:"attempts"`
	Deliveries int               `json:"deliveries"`
	// Turn is the record, where the letter holds one, or what is known of a message.
	Turn       json.RawMessage `json:"turn,omitempty"`
	InputType  bus.DataType    `json:"input_type,omitempty"`
	InputBytes int             `json:"input_bytes"`
	Truncated  bool            `json:"truncated"`
	// Input is the content of a text, and InputBase64 that of everything else; only on request.
	Input       string `json:"input,omitempty"`
	InputBase64 []byte `json:"input_base64,omitempty"`
}

func newDeadView(l *bus.DeadLetter, input bool) deadView {
	l = printable(l)
	v := deadView{
		ID: l.ID, Component: l.Component, Session: l.Session, At: l.At, Reason: l.Reason, Attempts: l.Attempts,
		Deliveries: l.Deliveries, InputType: l.InputType, InputBytes: len(l.Input), Truncated: l.Truncated,
	}
	if v.Attempts == nil {
		v.Attempts = []bus.DeadAttempt{}
	}

	if json.Valid(l.Body) {
		v.Turn = l.Body
	}

	switch {
	case !input:
	case isText(l):
		v.Input = string(l.Input)
	default:
		v.InputBase64 = l.Input
	}

	return v
}

func isText(l *bus.DeadLetter) bool {
	return (l.InputType == bus.Text || l.InputType == bus.JSON || l.InputType == "") && utf8.Valid(l.Input)
}

// tableReason is how many characters of a reason a table shows.
const tableReason = 60

// printTable prints dead letters, one on each line.
func printTable(out io.Writer, list []*bus.DeadLetter) error {
	w := newTable(out)
	fmt.Fprintln(w, "ID\tCOMPONENT\tSESSION\tWHEN\tATTEMPTS\tREASON")

	for _, l := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n",
			l.ID, l.Component, l.Session, when(l.At), len(l.Attempts), shorten(clean(l.Reason), tableReason))
	}

	return w.Flush()
}

// printDead prints all about one dead letter, but the input only on request.
func printDead(out io.Writer, l *bus.DeadLetter, input bool) error {
	l = printable(l)
	w := newTable(out)

	for _, line := range [][2]string{
		{"id", l.ID},
		{"component", l.Component},
		{"session", l.Session},
		{"set aside", when(l.At)},
		{"reason", clean(l.Reason)},
		{"deliveries", strconv.Itoa(l.Deliveries)},
		{"letter", clean(string(l.Body))},
		{"input", describeInput(l)},
	} {
		fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
	}

	for i, a := range l.Attempts {
		fmt.Fprintf(w, "attempt %d\t%s  %s  %s\n", i+1, when(a.At), orDash(clean(a.Instance)), clean(a.Reason))
	}

	if err := w.Flush(); err != nil || !input {
		return err
	}

	if !isText(l) {
		_, err := fmt.Fprintln(out, "\nthe input is not text; -json prints it in base64")

		return err
	}

	_, err := fmt.Fprintf(out, "\n%s\n", cleanText(string(l.Input)))

	return err
}

func describeInput(l *bus.DeadLetter) string {
	kind := string(l.InputType)
	if kind == "" {
		kind = "unknown type"
	}

	s := fmt.Sprintf("%d bytes kept, %s", len(l.Input), kind)
	if l.Truncated {
		s += ", not all of it"
	}

	return s
}
