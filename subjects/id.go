package subjects

import (
	"errors"
	"fmt"
	"strings"
)

// MaxID is the greatest length of an id in bytes.
const MaxID = 64

// Timeline is the id of the stream that lists a session's streams. There is one in every session.
const Timeline = "_timeline"

// ControlLog is the id of the log that holds what happens to a session as a whole. There is one in every session.
const ControlLog = "_control"

// FailureLog is the id of the log that holds which attempts at turns failed. There is one in every session.
const FailureLog = "_failures"

// EventLog is the id of the log that holds the messages that were published in a session. There is one in every session.
const EventLog = "_events"

// AppSession is the session of what belongs to the application as a whole, such as its [EventLog].
const AppSession = "_app"

// HandOver is the component under which instances hand mailboxes over to each other.
const HandOver = "_handover"

// messageBox is what the mailboxes of messages begin with, which are not those of turns.
const messageBox = "_msg-"

// MessageBox returns the component whose mailboxes hold the messages sent to a component: not the mailboxes of its
// turns. A component of more than 59 bytes is an [*InvalidIDError].
func MessageBox(component string) (string, error) {
	if !ValidID(component) || len(messageBox)+len(component) > MaxID {
		return "", &InvalidIDError{What: "component", ID: component}
	}

	return messageBox + component, nil
}

// ParseMessageBox is the way back from [MessageBox]; it reports false for any other component.
func ParseMessageBox(box string) (component string, ok bool) {
	component, ok = strings.CutPrefix(box, messageBox)

	return component, ok && ValidID(component)
}

// ErrInvalid is what every error of this package wraps: a name can't be used, and nothing was sent.
var ErrInvalid = errors.New("invalid name")

// InvalidIDError says which id can't be used, why, and what can.
type InvalidIDError struct {
	// What says what the id names, such as "session".
	What string
	// ID is the id as it was given.
	ID string
}

// quotedID is how much of a bad id a message shows.
const quotedID = 40

// Error implements error, on one line whatever the id holds.
func (e *InvalidIDError) Error() string {
	return fmt.Sprintf("%s %s is no id: %s; use 1 to %d letters A-Z or a-z, digits, '-' and '_'",
		e.What, quote(e.ID), e.reason(), MaxID)
}

// Unwrap returns [ErrInvalid].
func (*InvalidIDError) Unwrap() error { return ErrInvalid }

func (e *InvalidIDError) reason() string {
	if e.ID == "" {
		return "it is empty"
	}
	if i := badByte(e.ID); i >= 0 {
		return fmt.Sprintf("the character at byte %d can't be in one", i+1)
	}
	if Reserved(e.ID) && len(e.ID) <= MaxID {
		return "it begins with '_', which is reserved"
	}

	return fmt.Sprintf("it has %d bytes", len(e.ID))
}

// quote shows the beginning of a name that can't be trusted.
func quote(s string) string {
	if len(s) > quotedID {
		return fmt.Sprintf("%q…", s[:quotedID])
	}

	return fmt.Sprintf("%q", s)
}

// ValidID reports whether id is 1 to [MaxID] letters A-Z or a-z, digits, '-' and '_'. Reserved ids are valid.
func ValidID(id string) bool {
	return id != "" && len(id) <= MaxID && badByte(id) < 0
}

// CheckID returns nil for a valid id and an [*InvalidIDError] for any other. what says what it names, for the
// message, such as "session".
func CheckID(what, id string) error {
	if ValidID(id) {
		return nil
	}

	return &InvalidIDError{What: what, ID: id}
}

// Reserved reports whether id is one of those that Woodwork keeps to itself, such as [Timeline]: they begin with '_'.
// An id from outside must not be reserved; [Encode] never returns one.
func Reserved(id string) bool { return id != "" && id[0] == '_' }

// badByte returns the index of the first byte that no id holds, or -1.
func badByte(s string) int {
	for i := range len(s) {
		if !idByte(s[i]) {
			return i
		}
	}

	return -1
}

func idByte(b byte) bool { return alphanumeric(b) || b == '-' || b == '_' }

func alphanumeric(b byte) bool {
	return lowerOrDigit(b) || 'A' <= b && b <= 'Z'
}

func lowerOrDigit(b byte) bool {
	return 'a' <= b && b <= 'z' || '0' <= b && b <= '9'
}
