package main

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"strings"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/subjects"
)

// settings are the service's own flags.
type settings struct {
	http, session, eventsURL, origin string

	maxBody int64
	policy  framework.PostPolicy
	to      *flag.Flag
}

const defaultMaxBody = 16 << 20

var (
	errReserved  = errors.New("-session: ids that begin with '_' are reserved; choose another")
	errOneTarget = errors.New("-to: prompts go to one component; give one name")
	errEventsURL = errors.New("write it as http://host:port or https://host:port")
	errMaxBody   = errors.New("-max-body: write a number of bytes above 0")
)

func (s *settings) register(fs *flag.FlagSet) {
	fs.StringVar(&s.http, "http", "", "serve HTTP at this `address`, e.g. :8080, instead of reading standard input")
	fs.StringVar(&s.session, "session", "default", "session `id` of what standard input says")
	fs.StringVar(&s.eventsURL, "events-url", "", "base `URL` of the output service, for the answers to HTTP requests")
	fs.StringVar(&s.origin, "cors-origin", "", "`origin` whose pages may post from a browser, or *")
	fs.TextVar(&s.policy, "policy", framework.Queue, "what standard input's prompts do when the session has a turn that "+
		"is not done: queue, interrupt or reject")
	fs.Int64Var(&s.maxBody, "max-body", defaultMaxBody, "longest prompt over HTTP in `bytes`")

	s.to = fs.Lookup("to") // of every service; here it is who gets the prompts
}

func (s *settings) check() error {
	if err := subjects.CheckID("session", s.session); err != nil {
		return fmt.Errorf("-session: %w", err)
	}

	if subjects.Reserved(s.session) {
		return errReserved
	}

	if strings.Contains(s.target(), ",") {
		return errOneTarget
	}

	if s.maxBody <= 0 {
		return errMaxBody
	}

	return checkURL(s.eventsURL)
}

func checkURL(base string) error {
	if base == "" {
		return nil
	}

	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("-events-url %q: %w", base, errEventsURL)
	}

	return nil
}

// target is the component that gets the prompts.
func (s *settings) target() string {
	if s.to == nil || s.to.Value.String() == "" {
		return "llm"
	}

	return s.to.Value.String()
}
