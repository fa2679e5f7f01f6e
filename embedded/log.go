package embedded

import (
	"errors"
	"fmt"

	"github.com/rs/zerolog"
)

// serverLog passes the server's log on and notes the failure that the server, which has no other way to say that it
// could not start, logs as fatal.
type serverLog struct {
	log    zerolog.Logger
	failed chan error // holds the first failure
}

func newServerLog(log zerolog.Logger) *serverLog {
	return &serverLog{log: log, failed: make(chan error, 1)}
}

// failure returns the first failure, once, or nil.
func (l *serverLog) failure() error {
	select {
	case err := <-l.failed:
		return err
	default:
		return nil
	}
}

// Fatalf notes a failure of the server. Unlike the server's own logger it does not end the process.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.log.Error().Msgf(format, v...)

	select {
	case l.failed <- fatalError(format, v):
	default:
	}
}

// fatalError keeps the error among the values, so that the cause of a failure can be told by errors.Is.
func fatalError(format string, v []any) error {
	text := fmt.Sprintf(format, v...)

	for _, arg := range v {
		if err, ok := arg.(error); ok {
			return &serverError{text: text, err: err}
		}
	}

	return errors.New(text)
}

// serverError is a failure in the server's words, with its cause.
type serverError struct {
	text string
	err  error
}

func (e *serverError) Error() string { return e.text }
func (e *serverError) Unwrap() error { return e.err }

// Noticef logs what a user of a library need not see by default.
func (l *serverLog) Noticef(format string, v ...any) { l.log.Debug().Msgf(format, v...) }

// Warnf logs a warning.
func (l *serverLog) Warnf(format string, v ...any) { l.log.Warn().Msgf(format, v...) }

// Errorf logs an error.
func (l *serverLog) Errorf(format string, v ...any) { l.log.Error().Msgf(format, v...) }

// Debugf drops the text: debugging is off.
func (*serverLog) Debugf(string, ...any) {}

// Tracef drops the text: it would show messages.
func (*serverLog) Tracef(string, ...any) {}
