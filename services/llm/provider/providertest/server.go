package providertest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"
)

// Step answers one request.
type Step func(c *Conn)

// Request is what the server was sent.
type Request struct {
	Path   string
	Header http.Header
	Body   []byte
}

// Server is a provider on a free port of the loopback interface. Its methods may be called concurrently.
type Server struct {
	server *httptest.Server
	steps  []Step
	gone   chan struct{}

	mu       sync.Mutex
	requests []Request
}

// New starts a server, which the caller must Close.
func New(steps ...Step) *Server {
	s := &Server{steps: steps, gone: make(chan struct{}, 1)}
	s.server = httptest.NewServer(http.HandlerFunc(s.serve))

	return s
}

// URL is the server's base URL.
func (s *Server) URL() string { return s.server.URL }

// Client returns an HTTP client whose idle connections are closed together with the server.
func (s *Server) Client() *http.Client { return s.server.Client() }

// Close stops the server after its steps have returned.
func (s *Server) Close() { s.server.Close() }

// Requests returns what the server was sent so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()

	return append([]Request(nil), s.requests...)
}

// Gone receives a value when a step of [Conn.Hang] or [Conn.Wait] saw its client leave.
func (s *Server) Gone() <-chan struct{} { return s.gone }

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}

	s.mu.Lock()
	s.requests = append(s.requests, Request{Path: r.URL.Path, Header: r.Header.Clone(), Body: body})
	step := s.steps[min(len(s.requests), len(s.steps))-1]
	s.mu.Unlock()

	step(&Conn{w: w, r: r, gone: s.gone})
}

// Conn is a connection to a client that waits for its answer.
type Conn struct {
	w    http.ResponseWriter
	r    *http.Request
	gone chan<- struct{}
}

// Events begins a stream of events.
func (c *Conn) Events() {
	c.w.Header().Set("Content-Type", "text/event-stream")
	c.w.WriteHeader(http.StatusOK)
	c.Send()
}

// Send sends bytes, each argument in a packet of its own, and reports whether the client took them.
func (c *Conn) Send(packets ...string) bool {
	for _, p := range packets {
		if _, err := io.WriteString(c.w, p); err != nil {
			return false
		}

		if err := http.NewResponseController(c.w).Flush(); err != nil {
			return false
		}
	}

	return http.NewResponseController(c.w).Flush() == nil
}

// Flood sends an event again and again until the client has taken none for the given time or limit bytes have gone out, and
// returns how many went out. The connection can't be used afterwards.
func (c *Conn) Flood(event string, limit int, patience time.Duration) int {
	rc := http.NewResponseController(c.w)

	for sent := 0; ; sent += len(event) {
		if sent >= limit || rc.SetWriteDeadline(time.Now().Add(patience)) != nil || !c.Send(event) {
			return sent
		}
	}
}

// Refuse answers with an HTTP error. header holds pairs of name and value.
func (c *Conn) Refuse(status int, body string, header ...string) {
	for i := 0; i+1 < len(header); i += 2 {
		c.w.Header().Set(header[i], header[i+1])
	}

	c.w.WriteHeader(status)
	c.Send(body)
}

// Cut breaks the connection.
func (c *Conn) Cut() { panic(http.ErrAbortHandler) }

// Wait returns true when ready is closed or has a value, and false when the client left before.
func (c *Conn) Wait(ready <-chan struct{}) bool {
	select {
	case <-ready:
		return true
	case <-c.r.Context().Done():
		select {
		case c.gone <- struct{}{}:
		default:
		}

		return false
	}
}

// Hang keeps the client waiting until it leaves.
func (c *Conn) Hang() { c.Wait(nil) }
