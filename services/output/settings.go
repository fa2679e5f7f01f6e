package main

import (
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/woodwork-go/woodwork/subjects"
)

// settings are the service's own flags.
type settings struct {
	http, session, reader, origin string

	heartbeat time.Duration
}

const (
	defaultHeartbeat = 15 * time.Second
	maxReader        = subjects.MaxID - len("output-")
)

var (
	errReserved  = errors.New("-session: ids that begin with '_' are reserved; choose another")
	errHeartbeat = errors.New("-heartbeat: write a duration above 0, such as 15s")
	errReader    = fmt.Errorf("-reader: use at most %d characters", maxReader)
)

func (s *settings) register(fs *flag.FlagSet) {
	fs.StringVar(&s.http, "http", "", "serve HTTP at this `address`, e.g. :8081, instead of writing to standard output")
	fs.StringVar(&s.session, "session", "default", "session `id` whose answers go to standard output")
	fs.StringVar(&s.reader, "reader", "terminal", "`name` under which it is kept how far the session was printed")
	fs.StringVar(&s.origin, "cors-origin", "", "`origin` whose pages may read from a browser, or *")
	fs.DurationVar(&s.heartbeat, "heartbeat", defaultHeartbeat, "`time` of silence after which an HTTP client gets a comment")
}

func (s *settings) check() error {
	if err := subjects.CheckID("session", s.session); err != nil {
		return fmt.Errorf("-session: %w", err)
	}

	if subjects.Reserved(s.session) {
		return errReserved
	}

	if err := subjects.CheckID("reader", s.reader); err != nil {
		return fmt.Errorf("-reader: %w", err)
	}

	if len(s.reader) > maxReader {
		return errReader
	}

	if s.heartbeat <= 0 {
		return errHeartbeat
	}

	return nil
}
