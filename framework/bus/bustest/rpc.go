package bustest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func rpcCases() []promise {
	return []promise{
		{name: "rpc/replies in order", run: repliesInOrder},
		{name: "rpc/messages arrive as they were sent", run: messagesArrive},
		{name: "rpc/errors of the handler", run: handlerErrors},
		{name: "rpc/nobody serves it", run: nobodyServes},
		{name: "rpc/the deadline reaches the handler", run: deadlineArrives},
		{name: "rpc/a caller that leaves ends the handler", run: callerLeaves},
		{name: "rpc/calls at the same time", run: callsAtOnce, faults: true},
		{name: "rpc/a handler may call", run: handlerCalls},
		{name: "rpc/a slow caller holds the handler up", run: slowCaller},
		{name: "rpc/a slow caller of large replies", run: slowCallerLarge},
		{name: "rpc/a caller that leaves while it holds the handler up", run: slowCallerLeaves},
		{name: "rpc/too large", run: messageTooLarge},
		{name: "rpc/invalid", run: messageInvalid},
	}
}

func newEndpoint() bus.Endpoint { return bus.Endpoint{Component: newID("c"), Instance: newID("i")} }

type handle = func(ctx context.Context, request *bus.Message, reply func(*bus.Message) error) error

// serve serves an endpoint until the test ends.
func serve(t *testing.T, b bus.Bus, at bus.Endpoint, h handle) {
	t.Helper()

	t.Cleanup(must[func()](t)(b.Serve(t.Context(), at, h)))
}

// call is b.Call to an endpoint that is served: on a cluster the other servers hear of it a little later, and until then
// nobody serves it as far as they know. A call that was refused so has done nothing.
func call(ctx context.Context, b bus.Bus, to bus.Endpoint, request *bus.Message) iter.Seq2[*bus.Message, error] {
	return func(yield func(*bus.Message, error) bool) {
		for refused := true; refused; {
			refused = false

			for m, err := range b.Call(ctx, to, request) {
				if errors.Is(err, bus.ErrNoResponder) && pause(ctx) {
					refused = true

					break
				}

				if !yield(m, err) {
					return
				}
			}
		}
	}
}

// callOnce calls without waiting for anybody to serve, and returns how the replies ended.
func callOnce(ctx context.Context, b bus.Bus, to bus.Endpoint) (end error) {
	for _, err := range b.Call(ctx, to, text("")) {
		end = err
	}

	return end
}

// ask calls and returns the bodies of the replies and how they ended.
func ask(ctx context.Context, b bus.Bus, to bus.Endpoint, body string) ([]string, error) {
	var got []string

	for m, err := range call(ctx, b, to, text(body)) {
		if err != nil {
			return got, err
		}

		got = append(got, string(m.Body))
	}

	return got, nil
}

func text(body string) *bus.Message { return &bus.Message{Body: []byte(body)} }

// echo replies with the words of the request.
func echo(_ context.Context, request *bus.Message, reply func(*bus.Message) error) error {
	for word := range strings.FieldsSeq(string(request.Body)) {
		if err := reply(text(word)); err != nil {
			return err
		}
	}

	return nil
}

// count replies with numbers from 0 and keeps how many were accepted.
func count(n, size int, sent *atomic.Int64) handle {
	return func(_ context.Context, _ *bus.Message, reply func(*bus.Message) error) error {
		for i := range n {
			body := fmt.Appendf(nil, "%d ", i)
			if err := reply(&bus.Message{Body: append(body, noise(size)...)}); err != nil {
				return err
			}

			sent.Add(1)
		}

		return nil
	}
}

func repliesInOrder(t *testing.T, s *suite) {
	one, two := s.open(t), s.open(t)
	at, ctx := newEndpoint(), within(t)
	serve(t, one, at, echo)

	for _, caller := range []bus.Bus{one, two} {
		for _, request := range []string{"", "one", "one two three", strings.Repeat("x y ", 300)} {
			got, err := ask(ctx, caller, at, request)
			same(t, fmt.Sprintf("replies to %.20q", request), strings.Fields(request), got)

			if err != nil {
				t.Errorf("%.20q: %v", request, err)
			}
		}
	}
}

// messagesArrive sends what is awkward both ways, from buffers that are used again.
func messagesArrive(t *testing.T, s *suite) {
	one, two := s.open(t), s.open(t)
	at, ctx := newEndpoint(), within(t)

	serve(t, one, at, func(_ context.Context, request *bus.Message, reply func(*bus.Message) error) error {
		m := &bus.Message{Header: request.Header, Body: bytes.Clone(request.Body)}
		err := reply(m)
		copy(m.Body, "CHANGED")

		return err
	})

	for _, want := range []*bus.Message{
		{},
		{Body: []byte{}},
		{Header: map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, Body: []byte("x")},
		{Header: map[string]string{"tracestate": "a=100%25,b=%zz"}},
		{Header: map[string]string{"A": "", "b": " spaces ", "X-Text": "naïve 日本 🎉", "x_y.z": "100% 50%25 \r\nx: y\x00\xff"}},
		{Body: noise(70_000)},
		{Header: map[string]string{"h": strings.Repeat("%", bus.MaxHeader-5)}, Body: noise(two.Info().MaxBody)},
	} {
		sent := &bus.Message{Header: want.Header, Body: bytes.Clone(want.Body)}
		replies := 0

		for m, err := range call(ctx, two, at, sent) {
			if err != nil {
				t.Fatal(err)
			}

			same(t, "header", want.Header, m.Header)

			if !bytes.Equal(want.Body, m.Body) {
				t.Errorf("body of %d bytes came back as %d others", len(want.Body), len(m.Body))
			}

			replies++
		}

		same(t, "replies", 1, replies)
	}
}

func handlerErrors(t *testing.T, s *suite) {
	one, two := s.open(t), s.open(t)
	ctx := within(t)
	long := strings.Repeat("x", 2*bus.MaxErrorText)

	for want, err := range map[bus.RemoteError]error{
		{Code: bus.CodeInternal, Text: "it broke"}:              errors.New("it broke"),
		{Code: "no-such-tool", Text: "naïve\r\n%41"}:            &bus.RemoteError{Code: "no-such-tool", Text: "naïve\r\n%41"},
		{Code: "inner", Text: "text"}:                           fmt.Errorf("outer: %w", &bus.RemoteError{Code: "inner", Text: "text"}),
		{Code: "a b\r\n%", Text: ""}:                            &bus.RemoteError{Code: "a b\r\n%"},
		{Code: bus.CodeInternal, Text: long[:bus.MaxErrorText]}: &bus.RemoteError{Text: long},
	} {
		at := newEndpoint()
		serve(t, one, at, func(ctx context.Context, request *bus.Message, reply func(*bus.Message) error) error {
			return errors.Join(echo(ctx, request, reply), err)
		})

		got, end := ask(ctx, two, at, "before it")
		same(t, "replies", []string{"before", "it"}, got)

		remote, ok := errors.AsType[*bus.RemoteError](end)
		if !ok {
			t.Errorf("got %v, want a RemoteError", end)

			continue
		}

		same(t, "error", want, *remote)
	}
}

// nobodyServes has no deadline: the answer comes by itself.
func nobodyServes(t *testing.T, s *suite) {
	b := s.open(t)
	at := newEndpoint()
	serve(t, b, bus.Endpoint{Component: at.Component, Instance: newID("i")}, echo)
	wantErr(t, "call", callOnce(t.Context(), b, at), bus.ErrNoResponder)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	wantErr(t, "call with an ended context", callOnce(ended, b, at), context.Canceled)
}

func deadlineArrives(t *testing.T, s *suite) {
	one, two := s.open(t), s.open(t)
	at := newEndpoint()
	deadlines, causes := make(chan time.Time, 1), make(chan error, 1)

	serve(t, one, at, func(ctx context.Context, _ *bus.Message, _ func(*bus.Message) error) error {
		deadline, _ := ctx.Deadline()
		deadlines <- deadline
		<-ctx.Done()
		causes <- ctx.Err()

		return ctx.Err()
	})

	before := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	t.Cleanup(cancel)

	_, err := ask(ctx, two, at, "x")
	wantErr(t, "call", err, context.DeadlineExceeded)

	if left := receive(t, "deadline", deadlines).Sub(before); left <= 0 || left > 2*time.Second+patience {
		t.Errorf("the handler had %v, the caller 2 s", left)
	}

	if err := receive(t, "end of the handler", causes); err == nil {
		t.Error("the handler's context has no error")
	}
}

// callerLeaves has no deadline: leaving is enough.
func callerLeaves(t *testing.T, s *suite) {
	one, two := s.open(t), s.open(t)
	at := newEndpoint()
	started, ended := make(chan struct{}, 1), make(chan struct{}, 1)

	serve(t, one, at, func(ctx context.Context, request *bus.Message, reply func(*bus.Message) error) error {
		err := echo(ctx, request, reply)
		started <- struct{}{}
		<-ctx.Done()
		ended <- struct{}{}

		return err
	})

	for m, err := range call(t.Context(), two, at, text("one")) {
		if err != nil || string(m.Body) != "one" {
			t.Fatalf("got %+v, %v", m, err)
		}

		break
	}

	receive(t, "start of the handler", started)
	receive(t, "end of the handler after the loop was left", ended)

	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)

	failed := make(chan error, 1)

	go func() {
		_, err := ask(ctx, two, at, "")
		failed <- err
	}()

	receive(t, "start of the handler", started)
	cancel()
	wantErr(t, "call", receive(t, "end of the call", failed), context.Canceled)
	receive(t, "end of the handler after the context ended", ended)
}

// callsAtOnce repeats calls that fail, which is all that a caller can do about it.
func callsAtOnce(t *testing.T, s *suite) {
	one, two := s.open(t), s.open(t)
	at, ctx := newEndpoint(), within(t)
	serve(t, one, at, echo)

	var wg sync.WaitGroup

	for i := range 50 {
		wg.Go(func() {
			want := fmt.Sprintf("call %d has words", i)

			for ctx.Err() == nil {
				try, cancel := context.WithTimeout(ctx, patience/6)
				got, err := ask(try, two, at, want)

				cancel()

				if err == nil {
					same(t, "replies", strings.Fields(want), got)

					return
				}

				if s.faults == nil {
					t.Errorf("call %d: %v", i, err)

					return
				}
			}

			t.Errorf("call %d never succeeds", i)
		})
	}

	wg.Wait()
}

func handlerCalls(t *testing.T, s *suite) {
	one, two := s.open(t), s.open(t)
	front, back := newEndpoint(), newEndpoint()
	serve(t, two, back, echo)
	serve(t, one, front, func(ctx context.Context, request *bus.Message, reply func(*bus.Message) error) error {
		if string(request.Body) == "yourself" {
			return reply(text("I"))
		}

		for _, to := range []bus.Endpoint{back, front} {
			got, err := ask(ctx, one, to, "yourself")
			if err != nil {
				return err
			}

			if err := reply(text(strings.Join(got, " "))); err != nil {
				return err
			}
		}

		return nil
	})

	got, err := ask(within(t), two, front, "ask")
	same(t, "replies", []string{"yourself", "I"}, got)

	if err != nil {
		t.Error(err)
	}
}

// slowCaller looks how far the handler got, given time, each time that it takes a reply.
func slowCaller(t *testing.T, s *suite) {
	tooFarAhead(t, s, 8*bus.RepliesWaiting, 0, bus.RepliesWaiting+1)
}

func slowCallerLarge(t *testing.T, s *suite) {
	size := min(s.open(t).Info().MaxBody, bus.BytesWaiting) - 100
	most := bus.BytesWaiting/size + 2
	tooFarAhead(t, s, 3*most, size, int64(most))
}

func tooFarAhead(t *testing.T, s *suite, n, size int, most int64) {
	t.Helper()

	one, two := s.open(t), s.open(t)
	at, ctx := newEndpoint(), within(t)

	var sent atomic.Int64

	serve(t, one, at, count(n, size, &sent))

	taken := 0

	for m, err := range call(ctx, two, at, text("")) {
		if err != nil {
			t.Fatal(err)
		}

		if want := fmt.Sprintf("%d ", taken); !bytes.HasPrefix(m.Body, []byte(want)) {
			t.Fatalf("reply %d is %.20q", taken, m.Body)
		}

		taken++

		if taken%(n/8+1) == 1 {
			for range 10 {
				pause(ctx)
			}
		}

		if ahead := sent.Load() - int64(taken); ahead > most {
			t.Fatalf("the handler is %d replies ahead, want at most %d", ahead, most)
		}
	}

	same(t, "replies", n, taken)
}

func slowCallerLeaves(t *testing.T, s *suite) {
	one, two := s.open(t), s.open(t)
	at := newEndpoint()
	ended := make(chan error, 1)

	var sent atomic.Int64

	serve(t, one, at, func(ctx context.Context, request *bus.Message, reply func(*bus.Message) error) error {
		err := count(1<<30, 0, &sent)(ctx, request, reply)
		ended <- err

		return err
	})

	for _, err := range call(t.Context(), two, at, text("")) {
		if err != nil {
			t.Fatal(err)
		}

		break
	}

	if err := receive(t, "end of the handler", ended); err == nil {
		t.Error("a reply that nobody takes is no error")
	}
}

func messageTooLarge(t *testing.T, s *suite) {
	one, two := s.open(t), s.open(t)
	at, ctx := newEndpoint(), within(t)
	size := two.Info().MaxBody + 1
	wide := map[string]string{"h": strings.Repeat("x", bus.MaxHeader)}
	refused := make(chan error, 2)

	serve(t, one, at, func(_ context.Context, request *bus.Message, reply func(*bus.Message) error) error {
		refused <- reply(&bus.Message{Body: noise(size)})
		refused <- reply(&bus.Message{Header: wide})

		return reply(request)
	})

	for what, m := range map[string]*bus.Message{
		"body": {Body: noise(size)}, "body of four times the size": {Body: noise(4 * size)}, "header": {Header: wide},
	} {
		for _, err := range two.Call(ctx, at, m) {
			wantErr(t, what, err, bus.ErrTooLarge)
		}
	}

	got, err := ask(ctx, two, at, "the connection still works")
	same(t, "replies", []string{"the connection still works"}, got)

	if err != nil {
		t.Error(err)
	}

	wantErr(t, "body of a reply", receive(t, "refusal", refused), bus.ErrTooLarge)
	wantErr(t, "header of a reply", receive(t, "refusal", refused), bus.ErrTooLarge)
}

// messageInvalid is about header keys; ids are with the hostile ones.
func messageInvalid(t *testing.T, s *suite) {
	b := s.open(t)
	at, ctx := newEndpoint(), within(t)
	keys := []string{"", "a b", "a:b", "a\r\nb", "\x00", "naïve", "Ww-Seq", "ww-x", "NATS-TTL", "Status", "description", "a\xff"}
	refused := make(chan error, len(keys))

	serve(t, b, at, func(_ context.Context, _ *bus.Message, reply func(*bus.Message) error) error {
		for _, key := range keys {
			refused <- reply(&bus.Message{Header: map[string]string{key: "x"}})
		}

		return nil
	})

	for _, key := range keys {
		for _, err := range b.Call(ctx, at, &bus.Message{Header: map[string]string{key: "x"}}) {
			wantErr(t, fmt.Sprintf("header %q of a request", key), err, bus.ErrInvalid)
		}
	}

	if _, err := ask(ctx, b, at, ""); err != nil {
		t.Error(err)
	}

	for _, key := range keys {
		wantErr(t, fmt.Sprintf("header %q of a reply", key), receive(t, "refusal", refused), bus.ErrInvalid)
	}

	_, err := b.Serve(ctx, at, echo)
	wantErr(t, "serving what is served", err, bus.ErrInvalid)
}
