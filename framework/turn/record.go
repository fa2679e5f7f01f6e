package turn

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/session"
	"github.com/woodwork-go/woodwork/framework/telemetry"
	"github.com/woodwork-go/woodwork/subjects"
)

// recordVersion is the version of the letter's body that this package writes, and the newest it reads.
const recordVersion = 1

// Record is what a letter says about its turn. The turn's id is that of its input stream, unless it was
// replayed.
type Record struct {
	// Version of the encoding.
	Version int `json:"v"`
	// ID names the turn and its input stream.
	ID string `json:"id"`
	// Session and Component name the mailbox.
	Session   string `json:"session"`
	Component string `json:"component"`
	// Root is the turn that the user posted; all turns that follow from it share it.
	Root string `json:"root"`
	// From is the component that writes the input.
	From string `json:"from,omitempty"`
	// Mark is where the session's control log ended when the root turn was posted; see session.Mark.
	Mark session.Place `json:"-"`
	// Ahead says that the turn was posted before anything of its input was stored.
	Ahead bool `json:"ahead,omitempty"`
	// Stream is the input stream where it isn't the one with the turn's id, as for a turn that was replayed.
	Stream string `json:"stream,omitempty"`
}

// Input returns the id of the stream that the turn processes.
func (r Record) Input() string {
	if r.Stream != "" {
		return r.Stream
	}

	return r.ID
}

// body is a record as a letter holds it.
type body struct {
	Record

	Mark uint64 `json:"mark,omitempty"`
	// MarkLife is the life of the control log that Mark is of.
	MarkLife string `json:"mark_life,omitempty"`
}

// Post puts the turn into its component's mailbox. It returns after the bus stored it; repeating it is harmless,
// because a turn that is done is recognised by its output.
func Post(ctx context.Context, box bus.Mailbox, r Record, trace map[string]string) error {
	r.Version = recordVersion

	text, err := json.Marshal(body{Record: r, Mark: r.Mark.Index, MarkLife: r.Mark.Life})
	if err != nil {
		return fmt.Errorf("encode turn %s: %w", r.ID, err)
	}

	letter := &bus.Letter{ID: r.ID, Component: r.Component, Session: r.Session, Body: text, Trace: telemetry.Bounded(trace)}
	if err := box.Post(ctx, letter); err != nil {
		return fmt.Errorf("post turn %s to %s: %w", r.ID, r.Component, err)
	}

	return nil
}

// decode reads a letter. Its fields must agree with the mailbox that held it, so that a letter can't reach into
// another session.
func decode(l *bus.Letter) (Record, error) {
	var b body
	err := json.Unmarshal(l.Body, &b)
	r := b.Record
	r.Mark = session.Place{Index: b.Mark, Life: b.MarkLife}
	if err != nil {
		return r, fmt.Errorf("decode turn %s: %w", l.ID, err)
	}

	if r.Version > recordVersion {
		return r, fmt.Errorf("turn %s has version %d, this program reads up to %d: %w",
			l.ID, r.Version, recordVersion, bus.ErrUnsupported)
	}

	if r.ID != l.ID || r.Session != l.Session || r.Component != l.Component || !subjects.ValidID(r.Root) {
		return r, fmt.Errorf("turn %s does not belong to its mailbox: %w", l.ID, bus.ErrCorrupt)
	}

	return r, nil
}
