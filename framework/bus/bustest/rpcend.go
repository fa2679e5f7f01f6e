package bustest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func rpcEndCases() []promise {
	return []promise{
		{name: "rpc/stop waits, and nobody serves it then", run: serveStops},
		{name: "rpc/the caller's bus is closed", run: callerCloses},
		{name: "rpc/the serving bus is closed", run: serverCloses},
		{name: "rpc/the caller's connection breaks", run: callerCut},
		{name: "rpc/the serving connection breaks", run: serverCut},
	}
}

// blocking is a handler that replies once and then waits to be released, or for the end of its context.
type blocking struct {
	started, release, ended chan struct{}
}

func newBlocking() *blocking {
	return &blocking{make(chan struct{}, 10), make(chan struct{}), make(chan struct{}, 10)}
}

func (h *blocking) handle(ctx context.Context, _ *bus.Message, reply func(*bus.Message) error) error {
	err := reply(text("first"))
	h.started <- struct{}{}

	select {
	case <-h.release:
	case <-ctx.Done():
		err = errors.Join(err, context.Cause(ctx))
	}
	h.ended <- struct{}{}

	return err
}

// inProgress begins a call and returns when its handler runs; what it ends with comes from the channel.
func (h *blocking) inProgress(t *testing.T, b bus.Bus, at bus.Endpoint) <-chan error {
	t.Helper()

	end, got, ctx := make(chan error, 1), make(chan struct{}), t.Context()

	go func() {
		var end1 error

		for m, err := range call(ctx, b, at, text("")) {
			if end1 = err; m != nil {
				close(got)
			}
		}

		end <- end1
	}()

	receive(t, "first reply", got)
	receive(t, "start of the handler", h.started)

	return end
}

func serveStops(t *testing.T, s *suite) {
	one, two := s.open(t), s.open(t)
	at, ctx := newEndpoint(), within(t)

	for range 3 {
		h := newBlocking()
		stop := must[func()](t)(one.Serve(ctx, at, h.handle))
		end, stopped := h.inProgress(t, two, at), make(chan struct{})

		go func() {
			defer close(stopped)
			stop()
		}()

		untilRefused(t, two, at) // stop has begun then

		select {
		case <-stopped:
			t.Error("stop did not wait for the handler")
		default:
		}

		close(h.release)

		if err := receive(t, "end of the call", end); err != nil {
			t.Errorf("a call in progress ends with %v", err)
		}

		receive(t, "stop", stopped)
		stop()

		wantErr(t, "call", callOnce(ctx, two, at), bus.ErrNoResponder)
	}
}

// untilRefused calls until nobody serves the endpoint any more. On a cluster the other servers hear of it a little later.
func untilRefused(t *testing.T, b bus.Bus, at bus.Endpoint) {
	t.Helper()

	ctx := within(t)

	for refused := false; !refused; {
		try, cancel := context.WithTimeout(ctx, callPatience)

		for _, err := range b.Call(try, at, text("")) {
			refused = errors.Is(err, bus.ErrNoResponder)

			break
		}

		cancel()

		if !refused && !pause(ctx) {
			t.Fatal("it is still served")
		}
	}
}

// callPatience is how long a call to whom is about to leave may take.
const callPatience = time.Second

func callerCloses(t *testing.T, s *suite) {
	one, two := s.open(t), s.open(t)
	at, h := newEndpoint(), newBlocking()
	serve(t, one, at, h.handle)
	end := h.inProgress(t, two, at)

	if err := two.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}

	wantErr(t, "call", receive(t, "end of the call", end), bus.ErrClosed)
	receive(t, "end of the handler", h.ended)
}

func serverCloses(t *testing.T, s *suite) {
	one, two := s.open(t), s.open(t)
	at, h := newEndpoint(), newBlocking()
	stop := must[func()](t)(one.Serve(t.Context(), at, h.handle))
	end := h.inProgress(t, two, at)

	if err := one.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}

	receive(t, "end of the handler", h.ended)
	wantErr(t, "call", receive(t, "end of the call", end), bus.ErrInterrupted)
	stop()

	untilRefused(t, two, at)
}

func callerCut(t *testing.T, s *suite) {
	one, two := s.open(t), s.open(t)
	cutInProgress(t, s, one, two, two)
}

func serverCut(t *testing.T, s *suite) {
	one, two := s.open(t), s.open(t)
	cutInProgress(t, s, one, two, one)
}

// cutInProgress breaks one of the two connections of a call, which ends with the call. The next one works.
func cutInProgress(t *testing.T, s *suite, serving, calling, broken bus.Bus) {
	t.Helper()

	if s.Cut == nil {
		t.Skip(noCut)
	}

	at, h, ctx := newEndpoint(), newBlocking(), within(t)
	serve(t, serving, at, h.handle)
	end := h.inProgress(t, calling, at)
	s.Cut(t, broken)
	wantErr(t, "call", receive(t, "end of the call", end), bus.ErrInterrupted)
	receive(t, "end of the handler", h.ended)
	close(h.release)

	for {
		got, err := ask(ctx, calling, at, "")
		if err == nil {
			same(t, "replies", []string{"first"}, got)

			return
		}

		if !pause(ctx) {
			t.Fatalf("calls do not work again: %v", err)
		}
	}
}
