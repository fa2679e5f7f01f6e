package natsbus

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/bus"
)

// twice replies two times with the request, whose header it keeps.
func twice(_ context.Context, request *bus.Message, reply func(*bus.Message) error) error {
	return errors.Join(reply(request), reply(request))
}

// TestCallFromAnotherProgram shows what a program sees that has nothing but a NATS client.
func TestCallFromAnotherProgram(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Run(t)
	b := open(t, Config{URL: server.URL()})
	at := bus.Endpoint{Component: "llm", Instance: "one"}
	stop := must(b.Serve(t.Context(), at, twice))(t)
	defer stop()
	nc := must(nats.Connect(server.URL()))(t)
	defer nc.Close()
	inbox := nc.NewInbox()
	sub := must(nc.SubscribeSync(inbox))(t)
	request := &nats.Msg{
		Subject: must(b.ns.Call(at.Component, at.Instance))(t), Reply: inbox, Data: []byte("hello"),
		Header: nats.Header{"traceparent": {"00-x"}, "X-Percent": {"100%"}},
	}
	if err := nc.PublishMsg(request); err != nil {
		t.Fatal(err)
	}
	for _, want := range []nats.Header{
		{"Ww-Seq": {"1"}, "traceparent": {"00-x"}, "X-Percent": {"100%25"}},
		{"Ww-Seq": {"2"}, "traceparent": {"00-x"}, "X-Percent": {"100%25"}},
		{"Ww-Seq": {"3"}, "Ww-End": {"done"}},
	} {
		m := must(sub.NextMsg(patience))(t)
		if diff := cmp.Diff(want, m.Header); diff != "" {
			t.Errorf("header (-want +got):\n%s", diff)
		}
	}
}

// TestForgedRequests sends to an endpoint what no bus sends, and answers that would be commands.
func TestForgedRequests(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Run(t)
	b, other := open(t, Config{URL: server.URL()}), open(t, Config{URL: server.URL()})
	at := bus.Endpoint{Component: "llm", Instance: "one"}
	served := make(chan string, 10)
	stop := must(b.Serve(t.Context(), at, func(_ context.Context, m *bus.Message, _ func(*bus.Message) error) error {
		served <- string(m.Body)

		return nil
	}))(t)
	defer stop()
	log := must(b.ns.Log("s", "t"))(t)
	for _, m := range []*nats.Msg{
		{},
		{Reply: "$JS.API.STREAM.PURGE." + b.ns.LogStream(0)},
		{Reply: log},
		{Reply: log[:len(log)-len(".s.t")]},
		{Reply: "a.*"},
		{Reply: "x", Header: nats.Header{headerTimeout: {"soon"}}},
		{Reply: "x", Header: nats.Header{headerTimeout: {"-1s"}}},
		{Header: nats.Header{headerCall: {"unknown"}, headerLeft: {"1"}}},
		{Header: nats.Header{headerCall: {"unknown"}, headerReceived: {"x"}}},
	} {
		m.Subject, m.Data = must(b.ns.Call(at.Component, at.Instance))(t), []byte("forged")
		if err := other.nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range other.Call(t.Context(), at, &bus.Message{Body: []byte("real")}) {
		if err != nil {
			t.Error(err)
		}
	}
	if got := <-served; got != "real" {
		t.Errorf("a %s request was served", got)
	}
	if n := b.Counts().Foreign; n != 7 {
		t.Errorf("%d foreign messages counted, want 7", n)
	}
	if e := must(b.Last(t.Context(), bus.StreamID{Session: "s", Stream: "t"}))(t); e != nil {
		t.Errorf("the log holds %+v", e)
	}
}

// TestForgedReplies tries to end and to feed a call on the subject of another endpoint and with wrong sequences.
func TestForgedReplies(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Run(t)
	b, other := open(t, Config{URL: server.URL()}), open(t, Config{URL: server.URL()})
	at, next := bus.Endpoint{Component: "llm", Instance: "one"}, bus.Endpoint{Component: "llm", Instance: "two"}
	started, release := make(chan struct{}), make(chan struct{})
	t.Cleanup(must(b.Serve(t.Context(), next, twice))(t))
	t.Cleanup(must(b.Serve(t.Context(), at, func(ctx context.Context, m *bus.Message, reply func(*bus.Message) error) error {
		close(started)
		select {
		case <-release:
		case <-ctx.Done():
			t.Error("another endpoint's message ended the handler")
		}

		return twice(ctx, m, reply)
	}))(t))
	go func() {
		defer close(release)
		<-started
		reply := other.calls.subject(1)
		for _, m := range []*nats.Msg{
			{Subject: must(b.ns.Call(next.Component, next.Instance))(t), Header: nats.Header{headerCall: {reply}, headerLeft: {"1"}}},
			{Subject: reply},
			{Subject: reply, Header: nats.Header{headerSeq: {"first"}}},
			{Subject: reply, Header: nats.Header{headerSeq: {"0"}, headerEnd: {endDone}}},
			{Subject: reply + "x"},
			{Subject: other.calls.prefix + "_"},
		} {
			if err := b.nc.PublishMsg(m); err != nil {
				t.Error(err)
			}
		}
		if err := b.flush(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	n := 0
	for _, err := range other.Call(t.Context(), at, &bus.Message{}) {
		if err != nil {
			t.Error(err)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d replies, want 2", n)
	}
}

// TestCallerDies ends the caller's connection without a word: the next reply finds nobody.
func TestCallerDies(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Run(t)
	b := open(t, Config{URL: server.URL()})
	at := bus.Endpoint{Component: "llm", Instance: "one"}
	ended := make(chan error, 1)
	stop := must(b.Serve(t.Context(), at, func(ctx context.Context, m *bus.Message, reply func(*bus.Message) error) error {
		var err error
		for err == nil {
			err = reply(m)
		}
		ended <- context.Cause(ctx)

		return err
	}))(t)
	defer stop()
	nc := must(nats.Connect(server.URL()))(t)
	inbox := nc.NewInbox()
	sub := must(nc.SubscribeSync(inbox))(t)
	if err := nc.PublishRequest(must(b.ns.Call(at.Component, at.Instance))(t), inbox, nil); err != nil {
		t.Fatal(err)
	}
	must(sub.NextMsg(patience))(t)
	nc.Close()
	if err := <-ended; !errors.Is(err, errCallerGone) {
		t.Errorf("the handler ended with %v", err)
	}
}

// TestCallsLeaveNothing looks for what a long-lived bus would pile up.
func TestCallsLeaveNothing(t *testing.T) {
	t.Parallel()
	b := single(t)
	at := bus.Endpoint{Component: "llm", Instance: "one"}
	for range 20 {
		stop := must(b.Serve(t.Context(), at, twice))(t)
		for _, err := range b.Call(t.Context(), at, &bus.Message{}) {
			if err != nil {
				t.Error(err)
			}
		}
		for range b.Call(t.Context(), at, &bus.Message{}) {
			break
		}
		stop()
	}
	c := b.calls
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.outgoing) + len(c.incoming) + len(c.byReply) + len(c.servers) + len(c.owed); n != 0 {
		t.Errorf("%d calls or endpoints are left", n)
	}
}
