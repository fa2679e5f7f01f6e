package web_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/services/internal/sessiontest"
	"github.com/woodwork-go/woodwork/services/output/web"
)

func TestEverythingThatHappensIsAnEvent(t *testing.T) {
	t.Parallel()

	s := sessiontest.New(t, "s1")
	first := s.Answer("t1", bus.Text, stream.Restart).Say("old")
	events := open(t.Context(), t, address(serve(t, s, web.Config{}), "s1", ""), "")
	got := events.events(t, 2) // so that it has seen what is superseded

	second := s.Answer("t1", bus.Text, stream.Restart).Say("<new>\n", "\xe6\xbc", "\xa2")
	first.Abandon()
	second.SetMeta("tokens", "3")

	if err := second.Fail(t.Context(), "quota"); err != nil {
		t.Fatal(err)
	}

	s.Answer("t2", bus.Binary, stream.Restart).Say("\x00\xff", "text").Done()

	got = append(got, events.events(t, 9)...)
	events.close(t)

	for i := range got {
		if _, err := stream.ParseSessionCursor(got[i].ID); err != nil {
			t.Error(err)
		}

		if i > 0 && got[i].ID < got[i-1].ID {
			t.Errorf("id %s comes after %s", got[i].ID, got[i-1].ID)
		}

		got[i].ID = ""
	}

	want := []event{
		{Kind: "open", Data: `{"stream":"answer-t1","component":"llm","turn":"t1","root":"t1","type":"text"}`},
		{Kind: "chunk", Data: `{"stream":"answer-t1","index":0,"text":"old"}`},
		{Kind: "superseded", Data: `{"stream":"answer-t1","from":0}`},
		{Kind: "chunk", Data: `{"stream":"answer-t1","index":0,"text":"\u003cnew\u003e\n"}`},
		{Kind: "chunk", Data: `{"stream":"answer-t1","index":1,"data":"5rw="}`},
		{Kind: "chunk", Data: `{"stream":"answer-t1","index":2,"data":"og=="}`},
		{Kind: "end", Data: `{"stream":"answer-t1","state":"failed","reason":"quota","meta":{"tokens":"3"}}`},
		{Kind: "open", Data: `{"stream":"answer-t2","component":"llm","turn":"t2","root":"t2","type":"binary"}`},
		{Kind: "chunk", Data: `{"stream":"answer-t2","index":0,"data":"AP8="}`},
		{Kind: "chunk", Data: `{"stream":"answer-t2","index":1,"data":"dGV4dA=="}`},
		{Kind: "end", Data: `{"stream":"answer-t2","state":"completed"}`},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestTheHeadersKeepEveryoneFromBuffering(t *testing.T) {
	t.Parallel()

	s := sessiontest.New(t, "s1")
	server := serve(t, s, web.Config{Retry: 1500 * time.Millisecond, Origin: "https://app.example"})

	for _, method := range []string{http.MethodGet, http.MethodHead} {
		response := request(t.Context(), t, method, address(server, "s1", ""), nil)

		for name, want := range map[string]string{
			"Content-Type":                "text/event-stream",
			"Cache-Control":               "no-cache, no-transform",
			"X-Accel-Buffering":           "no",
			"Access-Control-Allow-Origin": "https://app.example",
			"Vary":                        "Origin",
		} {
			if got := response.Header.Get(name); got != want {
				t.Errorf("%s %s = %q, want %q", method, name, got, want)
			}
		}

		if method == http.MethodGet {
			s.Say("t1", "x")

			b := read(response.Body)
			b.events(t, 1)

			if b.retry != "1500" {
				t.Errorf("retry = %q", b.retry)
			}
		}

		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestABrowserMayAskForPermission(t *testing.T) {
	t.Parallel()

	s := sessiontest.New(t, "s1")

	head := map[string]string{"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
	for origin, want := range map[string]int{"*": http.StatusNoContent, "": http.StatusMethodNotAllowed} {
		server := serve(t, s, web.Config{Origin: origin})

		response := request(t.Context(), t, http.MethodOptions, address(server, "s1", ""), head)
		if response.StatusCode != want || response.Header.Get("Access-Control-Allow-Origin") != origin {
			t.Errorf("origin %q: %s, %v", origin, response.Status, response.Header)
		}

		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A connection may break after any byte. The client goes on after the last whole event and has lost and repeated
// nothing in the end.
func TestAnyBrokenConnectionIsResumedExactly(t *testing.T) {
	t.Parallel()

	s := sessiontest.New(t, "s1")
	s.Say("t0", "before")

	a := s.Answer("t1", bus.Text, stream.Restart).Say("dropped", " text")
	a.Abandon()
	a = s.Answer("t1", bus.Text, stream.Resume).Say("漢", "\xe6", "\xbc\xa2", "\n", strings.Repeat("long ", 300))
	a.Abandon()
	s.Answer("t1", bus.Text, stream.Resume).Say("last").Done()
	s.Say("t2", "after")

	url := address(serve(t, s, web.Config{}), "s1", "")
	whole := open(t.Context(), t, url, "")
	want := whole.events(t, 3+1+8+1+3)
	whole.close(t)

	rapid.Check(t, func(rt *rapid.T) {
		var got []event

		for id := ""; len(got) < len(want); {
			inQuery := rapid.Bool().Draw(rt, "id in the query")
			limit := rapid.Int64Range(100, 5000).Draw(rt, "bytes before the connection breaks")

			url, head := url, map[string]string{"Last-Event-ID": id}
			if inQuery {
				url, head = url+"?last_event_id="+id, nil
			}

			//nolint:bodyclose // The browser closes it.
			response := request(t.Context(), t, http.MethodGet, url, head)
			b := read(struct {
				io.Reader
				io.Closer
			}{io.LimitReader(response.Body, limit), response.Body})

			for len(got) < len(want) {
				e, err := b.next()
				if err != nil {
					break
				}

				got = append(got, e)
				id = e.ID
			}

			b.close(t)
		}

		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("events (-want +got):\n%s", diff)
		}
	})
}

func TestFromNowLeavesOutWhatHasBeen(t *testing.T) {
	t.Parallel()

	s := sessiontest.New(t, "s1")
	s.Say("t1", "old")

	server := serve(t, s, web.Config{})
	late := open(t.Context(), t, address(server, "s1", "?from=now"), "")

	s.Say("t2", "new")

	got := late.events(t, 3)
	if said, err := text(got); said != "new" || err != nil {
		t.Errorf("got %q, %v", said, err)
	}

	late.close(t)
	s.Say("t3", "newer")

	again := open(t.Context(), t, address(server, "s1", "?from=now"), got[0].ID) // as a browser connects again
	for _, answer := range []struct {
		events int
		want   string
	}{{2, "new"}, {3, "newer"}} {
		if said, err := text(again.events(t, answer.events)); said != answer.want || err != nil {
			t.Errorf("from an id on: got %q, %v, want %q", said, err, answer.want)
		}
	}

	again.close(t)
}

func TestOneTurnIsServedAlone(t *testing.T) {
	t.Parallel()

	s := sessiontest.New(t, "s1")
	s.Say("t1", "one")
	s.Say("t2", "two", "!")
	s.Say("t3", "three")

	events := open(t.Context(), t, address(serve(t, s, web.Config{}), "s1", "?turn=t2"), "")
	got := events.events(t, 4)

	if _, err := events.next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v, want the end of the response", err)
	}

	events.close(t)

	if answer, err := text(got); err != nil || answer != "two!" || got[3].Kind != "end" {
		t.Errorf("answer %q, error %v, events %v", answer, err, got)
	}
}

func TestForeignSessionIDsAreEncoded(t *testing.T) {
	t.Parallel()

	s := sessiontest.New(t, "e--a_2Fb_20_C3_A9")
	s.Say("t1", "hello")

	events := open(t.Context(), t, address(serve(t, s, web.Config{}), "a%2Fb%20%C3%A9", ""), "")
	events.events(t, 3)
	events.close(t)
}

func TestSilenceIsBrokenByComments(t *testing.T) {
	t.Parallel()

	s := sessiontest.New(t, "s1")
	ctx, leave := context.WithCancel(t.Context())
	url := address(serve(t, s, web.Config{Heartbeat: time.Millisecond}), "s1", "")
	response := request(ctx, t, http.MethodGet, url, nil) //nolint:bodyclose // The browser closes it.
	b := read(response.Body)

	for range 20 { // lines
		if !b.in.Scan() {
			t.Fatal(b.in.Err())
		}

		if line := b.in.Text(); line != "" && line != ":" && line != "retry: 2000" {
			t.Errorf("line %q", line)
		}
	}

	leave()
	b.close(t)
}

func TestWhatCanNotBeReadIsRefused(t *testing.T) {
	t.Parallel()

	server := serve(t, sessiontest.New(t, "s1"), web.Config{})

	for url, want := range map[string]int{
		address(server, "s1", "?last_event_id=17"):                                http.StatusBadRequest,
		address(server, "s1", "?last_event_id=0000000000000001-000000000000000G"): http.StatusBadRequest,
		address(server, "s1", "?from=yesterday"):                                  http.StatusBadRequest,
		server.URL + "/v1/sessions/s1":                                            http.StatusNotFound,
		server.URL + "/healthz":                                                   http.StatusOK,
	} {
		response := request(t.Context(), t, http.MethodGet, url, nil)
		if response.StatusCode != want {
			t.Errorf("%s: %s, want %d", url, response.Status, want)
		}

		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The bus lost the session, or never had it: the client is told to forget what it has, and gets what there is.
func TestAnUnknownIDIsAnsweredByAResync(t *testing.T) {
	t.Parallel()

	for name, id := range map[string]string{
		"unknown stream": "0000000000000009-0000040000000001",
		"unknown chunk":  "0000000000000001-0000040000000009",
		"lost session":   "0000000000000003-0000040000000001",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s := sessiontest.New(t, "s1")
			if name != "lost session" {
				s.Say("t1", "hello")
			}

			events := open(t.Context(), t, address(serve(t, s, web.Config{}), "s1", ""), id)
			got := events.events(t, 1)

			if name == "lost session" {
				s.Say("t1", "hello")
			}

			got = append(got, events.events(t, 3)...)
			events.close(t)

			if got[0].Kind != "resync" || got[0].ID != "" {
				t.Errorf("first event %v, want a resync that resets the id", got[0])
			}

			if answer, err := text(got[1:]); err != nil || answer != "hello" {
				t.Errorf("answer %q, error %v", answer, err)
			}
		})
	}
}

// The data were wiped and the session goes on: an id of before says nothing of what is there now.
func TestAnIDOfLostDataIsAnsweredByAResync(t *testing.T) {
	t.Parallel()

	s := sessiontest.New(t, "s1")
	turns := []string{"t1", "t2", "t3", "t4"}
	url := address(serve(t, s, web.Config{}), "s1", "")

	for _, turn := range turns {
		s.Say(turn, "old ", turn)
	}

	events := open(t.Context(), t, url, "")
	before := events.events(t, 4*len(turns))
	events.close(t)
	s.Lose(turns...)

	for _, turn := range turns {
		s.Say(turn, "new ", turn)
	}

	for i, old := range before {
		events := open(t.Context(), t, url, old.ID)
		got := events.events(t, 1+4*(len(turns)+i))
		later := fmt.Sprint("later", i)
		s.Say(later, "and ", later)

		if said, err := text(events.events(t, 4)); err != nil || said != "and "+later {
			t.Errorf("after event %d, later: said %q, %v", i, said, err)
		}

		events.close(t)

		if got[0].Kind != "resync" || got[0].ID != "" {
			t.Errorf("after event %d: %v, want a resync that resets the id", i, got[0])
		}

		for j, turn := range turns {
			if said, err := text(got[1+4*j : 5+4*j]); err != nil || said != "new "+turn {
				t.Errorf("after event %d: said %q, %v, want %q", i, said, err, "new "+turn)
			}
		}
	}
}

func TestABusThatIsGoneIsSaid(t *testing.T) {
	t.Parallel()

	s := sessiontest.New(t, "s1")
	server := serve(t, s, web.Config{})
	s.Close()

	response := request(t.Context(), t, http.MethodGet, address(server, "s1", ""), nil)
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("answer %s, %v", response.Status, response.Header)
	}

	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
}

// ended tells when each request's handler has returned.
func ended(next http.Handler) (http.Handler, <-chan struct{}) {
	done := make(chan struct{}, 10)

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { done <- struct{}{} }()

		next.ServeHTTP(w, r)
	}), done
}

func TestAClientThatLeavesIsNoticedAndCancelsNothing(t *testing.T) {
	t.Parallel()

	s := sessiontest.New(t, "s1")
	h, done := ended(web.NewHandler(s, web.Config{}))
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)

	answer := s.Answer("t1", bus.Text, stream.Restart).Say("Hel")
	ctx, leave := context.WithCancel(t.Context())
	gone := open(ctx, t, address(server, "s1", ""), "")
	stays := open(t.Context(), t, address(server, "s1", ""), "")
	gone.events(t, 2)

	got := stays.events(t, 2)

	leave()
	<-done // with nothing to send, and long before the heartbeat
	gone.close(t)

	answer.Say("lo").Done()

	got = append(got, stays.events(t, 2)...)
	stays.close(t)

	if all, err := text(got); err != nil || all != "Hello" {
		t.Errorf("answer %q, error %v", all, err)
	}
}

// smallBuffer keeps the kernel from buffering much for a client that doesn't read.
func smallBuffer(t *testing.T) func(context.Context, net.Conn) context.Context {
	t.Helper()

	return func(ctx context.Context, c net.Conn) context.Context {
		if tcp, ok := c.(*net.TCPConn); !ok || tcp.SetWriteBuffer(kernelBuffer) != nil {
			t.Error("the send buffer can't be limited")
		}

		return ctx
	}
}

// A client that takes nothing holds up neither the writer nor another client; it is cut off, and can go on later.
func TestASlowClientDisturbsNobody(t *testing.T) {
	t.Parallel()

	s := sessiontest.New(t, "s1")
	patient := web.NewHandler(s, web.Config{})
	hasty, done := ended(web.NewHandler(s, web.Config{WriteTimeout: 50 * time.Millisecond}))

	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("hasty") {
			hasty.ServeHTTP(w, r)
		} else {
			patient.ServeHTTP(w, r)
		}
	}))
	server.Config.ConnContext = smallBuffer(t)
	server.Start()
	t.Cleanup(server.Close)

	const (
		chunks = 40 // more than what the kernel buffers for a client
		size   = 64 << 10
	)

	url := address(server, "s1", "?hasty")
	slow := open(t.Context(), t, url, "")
	quick := open(t.Context(), t, address(server, "s1", ""), "")
	chunk := strings.Repeat("x", size)
	answer := s.Answer("t1", bus.Text, stream.Restart)

	got := make(chan []event, 1)
	go func() { got <- quick.events(t, chunks+2) }()

	for range chunks {
		answer.Say(chunk)
	}

	answer.Done()

	if all, err := text(<-got); err != nil || len(all) != chunks*size {
		t.Errorf("the quick client has %d bytes, error %v", len(all), err)
	}

	<-done // the slow one was cut off

	var late []event

	for id := ""; len(late) < chunks+2; {
		e, err := slow.next()
		if err != nil {
			slow.close(t)
			slow = open(t.Context(), t, url, id)

			continue
		}

		late = append(late, e)
		id = e.ID
	}

	slow.close(t)
	quick.close(t)

	if all, err := text(late); err != nil || len(all) != chunks*size {
		t.Errorf("the slow client has %d bytes, error %v", len(all), err)
	}
}

func TestTheServerEndsWithItsContext(t *testing.T) {
	t.Parallel()

	s := sessiontest.New(t, "s1")
	ctx, stop := context.WithCancel(t.Context())

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	served := make(chan error, 1)
	go func() { served <- web.Serve(ctx, listener, s, web.Config{}) }()

	s.Say("t1", "x")

	events := open(t.Context(), t, "http://"+listener.Addr().String()+"/v1/sessions/s1/events", "")
	events.events(t, 3)
	stop()

	if _, err := events.next(); !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("response: %v, want its regular end", err)
	}

	if err := <-served; err != nil {
		t.Error(err)
	}

	events.close(t)
}
