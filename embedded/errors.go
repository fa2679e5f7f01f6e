package embedded

import (
	"errors"
	"fmt"
)

// Why a server did not start. Test for them with [errors.Is]; the [StartError] that holds them says what to do.
var (
	// ErrPortTaken: another program listens on the address.
	ErrPortTaken = errors.New("address is in use")
	// ErrDirInUse: another server, of this or another process, has the data directory open.
	ErrDirInUse = errors.New("data directory is in use")
	// ErrDirNotWritable: the data directory can't be made or written to.
	ErrDirNotWritable = errors.New("data directory is not writable")
	// ErrClosed: the server, or this node of the cluster, was closed.
	ErrClosed = errors.New("the embedded server is closed")
)

// StartError says why a server did not start and what the user can do.
type StartError struct {
	// Subject is the directory, address or configuration file that the error is about, or empty.
	Subject string
	// Hint says what to do, or is empty.
	Hint string
	// Kind is ErrPortTaken, ErrDirInUse, ErrDirNotWritable, or nil for any other reason.
	Kind error
	// Err is the cause as the system or the server reports it; nil when Kind says it all.
	Err error
}

// Error implements error: subject, reason and hint on one line.
func (e *StartError) Error() string {
	text := "start embedded server"
	if e.Subject != "" {
		text += " on " + e.Subject
	}

	for _, err := range e.Unwrap() {
		text = fmt.Sprintf("%s: %v", text, err)
	}

	if e.Hint != "" {
		text += "; " + e.Hint
	}

	return text
}

// Unwrap returns the kind and the cause, those that there are.
func (e *StartError) Unwrap() []error {
	errs := make([]error, 0, 2)
	if e.Kind != nil {
		errs = append(errs, e.Kind)
	}

	if e.Err != nil {
		errs = append(errs, e.Err)
	}

	return errs
}
