package provider

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/chaos/proc"
	"github.com/woodwork-go/woodwork/services/llm/provider/providertest"
)

// Mode is how a provider fares.
type Mode string

// The modes. Up is well, all others are ways to be down.
const (
	Up Mode = "up"
	// Refuse: nothing listens, and connections that there were are gone.
	Refuse Mode = "refused"
	// Fail: each request is answered with status 500.
	Fail Mode = "status 500"
	// Hang: no request is answered, nor refused.
	Hang Mode = "hang"
	// Break: connections are reset in the middle of each answer.
	Break Mode = "break"
	// Stall: answers stop in the middle, and connections stay.
	Stall Mode = "stall"
)

// Modes lists the ways to be down.
func Modes() []Mode { return []Mode{Refuse, Fail, Hang, Break, Stall} }

// Config says what a provider is. All fields are required.
type Config struct {
	// Name is what its answers begin with.
	Name string
	// Format is what it speaks.
	Format providertest.Dialect
	// Pace is the wait before each piece.
	Pace time.Duration
}

var errNoPrompt = errors.New("a request without a message")

// Server is a provider. Its methods but Set and Close may be called concurrently.
type Server struct {
	cfg  Config
	addr string

	mu     sync.Mutex
	mode   Mode
	answer int // whole answers that it gave
	broken int // requests that it failed

	http    *http.Server // nil while nothing listens
	serving sync.WaitGroup
}

// Start starts a provider that is up, which the caller must Close.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	addr, err := proc.FreeAddress(ctx)
	if err != nil {
		return nil, fmt.Errorf("start provider: %w", err)
	}
	s := &Server{cfg: cfg, addr: addr, mode: Up}
	if err := s.listen(ctx); err != nil {
		return nil, err
	}

	return s, nil
}

// URL is the base URL.
func (s *Server) URL() string { return "http://" + s.addr }

// Counts returns how many whole answers it gave and how many requests it failed, not counting those that nothing took.
func (s *Server) Counts() (answered, failed int) {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.answer, s.broken
}

// Set changes the mode.
func (s *Server) Set(ctx context.Context, mode Mode) error {
	if mode == Refuse {
		s.Close()

		return nil
	}
	s.change(mode)
	if s.http == nil {
		return s.listen(ctx)
	}

	return nil
}

// Close breaks all connections and waits until nothing runs any more. It is idempotent.
func (s *Server) Close() {
	s.change(Refuse)
	if s.http != nil {
		_ = s.http.Close() // whatever it had to say, nothing listens any more
		s.serving.Wait()
		s.http = nil
	}
}

func (s *Server) change(mode Mode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = mode
}

func (s *Server) listen(ctx context.Context) error {
	listener, err := s.bind(ctx)
	if err != nil {
		return fmt.Errorf("provider listens: %w", err)
	}
	//nolint:gosec // only this run's own processes connect
	server := &http.Server{Handler: http.HandlerFunc(s.serve)}
	s.http = server
	s.serving.Go(func() { _ = server.Serve(listener) }) // it ends with Close

	return nil
}

// bind opens the address. It tries for a while: a process that is being started elsewhere in this program holds a listener
// that was closed meanwhile until it is its own program.
func (s *Server) bind(ctx context.Context) (net.Listener, error) {
	const (
		patience = 5 * time.Second
		wait     = 10 * time.Millisecond
	)
	for begun := time.Now(); ; pause(ctx, wait) {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.addr)
		if err == nil || ctx.Err() != nil || time.Since(begun) > patience {
			return listener, err
		}
	}
}

// enter returns the mode, and begins a request unless nothing may be asked any more.
func (s *Server) enter() Mode {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mode != Refuse {
		s.serving.Add(1)
	}

	return s.mode
}

// serve answers one request, in the mode in which it came.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	mode := s.enter()
	if mode == Refuse {
		panic(http.ErrAbortHandler)
	}
	defer s.serving.Done()
	text, err := prompt(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)

		return
	}
	whole := false
	defer func() { s.count(whole) }()
	switch mode {
	case Fail:
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(s.cfg.Format.Refusal("server_error", "down"))) // the client may have left
	case Hang:
		<-r.Context().Done()
	default:
		whole = s.say(r.Context(), w, Answer(s.cfg.Name, text), mode)
	}
}

func (s *Server) count(whole bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if whole {
		s.answer++
	} else {
		s.broken++
	}
}

// say sends an answer, or its first half, and reports whether all of it went out.
func (s *Server) say(ctx context.Context, w http.ResponseWriter, pieces []string, mode Mode) bool {
	f := s.cfg.Format
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	send := func(event string) bool {
		_, err := w.Write([]byte(event))

		return err == nil && out.Flush() == nil
	}
	ok := send(f.Start(1))
	for i, piece := range pieces {
		switch {
		case i < len(pieces)/2:
		case mode == Break:
			panic(http.ErrAbortHandler)
		case mode == Stall:
			<-ctx.Done()

			return false
		}
		pause(ctx, s.cfg.Pace)
		if ok = ok && send(f.Delta(piece)); !ok {
			return false
		}
	}

	return send(f.Finish("stop", 1, len(pieces)))
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
