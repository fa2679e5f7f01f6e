package call

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/telemetry"
)

// Handler serves an operation. Its replies go out as it sends them; it returns when there are no more. An error ends
// the call as failed, with [bus.CodeInternal] unless it is a [*bus.RemoteError]. ctx ends with the caller's deadline,
// when the caller is gone, and when the instance must stop.
type Handler func(ctx context.Context, in *Incoming) error

// Incoming is a request that is being served. It is valid until the handler returns.
type Incoming struct {
	// Operation is what is asked for.
	Operation string
	// ID is the call's correlation id.
	ID string
	// From is the component that calls; empty when it did not say.
	From string
	// Session, Turn and Root say in which turn the call happens; empty outside of turns. Session is the id on the bus,
	// which for a tenant's session includes the tenant's name.
	Session, Turn, Root string
	// Header is all that came with the request. It must not be changed.
	Header map[string]string
	// Body must not be changed.
	Body []byte

	reply func(*bus.Message) error
}

// Reply sends a reply: the only one of a plain call, or the next one of a stream. It waits while the caller is far
// behind. It is for one goroutine at a time.
func (in *Incoming) Reply(body []byte) error { return in.reply(&bus.Message{Body: body}) }

// ServerConfig says how requests are served. The zero value works.
type ServerConfig struct {
	// Limit is how many requests are served at once; more are refused at once, with [CodeOverloaded]. Defaults to 64.
	Limit int
	// Observe is told of each request that was served, or refused, with what it took. It may be called concurrently.
	// Defaults to nobody.
	Observe func(operation string, took time.Duration, err error)
	// Tracer makes a span for each request that is served. Defaults to none.
	Tracer *telemetry.Tracer
}

// Server serves the operations of one instance.
type Server struct {
	handlers map[string]Handler
	cfg      ServerConfig
	at       bus.Endpoint
	stop     func()
	ended    context.Context //nolint:containedctx // ends the handlers' contexts when the time to stop is over
	end      context.CancelCauseFunc

	mu       sync.Mutex
	running  int
	draining bool
}

// Serve serves operations at an endpoint until Stop is called.
func Serve(
	ctx context.Context, rpc bus.RPC, at bus.Endpoint, handlers map[string]Handler, cfg ServerConfig,
) (*Server, error) {
	cfg.Limit = orDefault(cfg.Limit, 64)
	s := &Server{handlers: handlers, cfg: cfg, at: at}
	s.ended, s.end = context.WithCancelCause(context.WithoutCancel(ctx))

	stop, err := rpc.Serve(ctx, at, s.serve)
	if err != nil {
		s.end(nil)

		return nil, fmt.Errorf("serve calls at %s: %w", at, err)
	}

	s.stop = stop

	return s, nil
}

// errStopping is the cause of a handler's context when the instance must stop.
var errStopping = fmt.Errorf("the instance is shutting down: %w", context.Canceled)

// Stop refuses further requests and waits for those that are served. When ctx ends, so do their contexts. It must be
// called once.
func (s *Server) Stop(ctx context.Context) {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()

	unhook := context.AfterFunc(ctx, func() { s.end(errStopping) })
	defer unhook()
	defer s.end(nil)

	s.stop()
}

// Load returns how many requests are served now, and how many may be.
func (s *Server) Load() (running, limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.running, s.cfg.Limit
}

func (s *Server) serve(ctx context.Context, request *bus.Message, reply func(*bus.Message) error) error {
	in := incoming(request, reply)
	begun := time.Now()
	err := s.admit(in)

	if err == nil {
		defer s.leave()

		ctx, span := s.traced(ctx, in)
		err = s.handle(ctx, in)
		span.EndCall(err)
	}

	if s.cfg.Observe != nil {
		s.cfg.Observe(in.Operation, time.Since(begun), err)
	}

	return err
}

func incoming(request *bus.Message, reply func(*bus.Message) error) *Incoming {
	h := request.Header

	return &Incoming{
		Operation: h[headerOperation], ID: h[headerID], From: h[headerFrom],
		Session: h[headerSession], Turn: h[headerTurn], Root: h[headerRoot],
		Header: h, Body: request.Body, reply: reply,
	}
}

// admit counts a request in, or says why not.
func (s *Server) admit(in *Incoming) error {
	s.mu.Lock()
	defer s.mu.Unlock()

	switch {
	case s.draining:
		return &bus.RemoteError{Code: CodeDraining, Text: "the instance is shutting down"}
	case s.running >= s.cfg.Limit:
		return &bus.RemoteError{Code: CodeOverloaded, Text: fmt.Sprintf("%d requests are being served", s.running)}
	case s.handlers[in.Operation] == nil:
		return &bus.RemoteError{Code: CodeUnknown, Text: fmt.Sprintf("there is no operation %.64q", in.Operation)}
	}

	s.running++

	return nil
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.running--
}

// errPanic: the handler panicked. What with may hold what a user said.
var errPanic = errors.New("the handler panicked")

func (s *Server) handle(ctx context.Context, in *Incoming) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	unhook := context.AfterFunc(s.ended, func() { cancel(context.Cause(s.ended)) })
	defer unhook()

	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w with a %T", errPanic, p)
		}
	}()

	return s.handlers[in.Operation](ctx, in)
}
