package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/services/input/web"
)

// edge is a running edge and what it posts to.
type edge struct {
	t      *testing.T
	url    string
	store  *stream.Store
	bus    *membus.Bus
	client *framework.Client
}

// start runs an edge on a bus of its own until the end of the test.
func start(t *testing.T, cfg web.Config) *edge {
	t.Helper()

	b := membus.New(membus.Config{})

	client, err := framework.Connect(t.Context(), framework.Config{Bus: b})
	if err != nil {
		t.Fatal(err)
	}

	server := httptest.NewServer(web.NewHandler(client, cfg))
	e := &edge{t: t, url: server.URL, store: stream.NewStore(b, b.Info(), stream.Config{}), bus: b, client: client}

	t.Cleanup(func() {
		server.Close()
		e.store.Close()

		ctx := context.WithoutCancel(t.Context())
		if err := errors.Join(client.Close(ctx), b.Close(ctx)); err != nil {
			t.Error(err)
		}
	})

	return e
}

// answer is what the edge answered.
type answer struct {
	Status int         `json:"-"`
	Head   http.Header `json:"-"`

	Session string `json:"session"`
	Turn    string `json:"turn"`
	Events  string `json:"events"`
	Error   string `json:"error"`
}

// post sends a body; a body that is not a bytes or strings reader is sent as a stream.
func (e *edge) post(path string, body io.Reader, head map[string]string) answer {
	e.t.Helper()

	a, err := e.try(e.t.Context(), path, body, head)
	if err != nil {
		e.t.Fatal(err)
	}

	return a
}

func (e *edge) try(ctx context.Context, path string, body io.Reader, head map[string]string) (answer, error) {
	var a answer

	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+path, body)
	if err != nil {
		return a, err
	}

	for name, value := range head {
		r.Header.Set(name, value)
	}

	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

	response, err := client.Do(r)
	if err != nil {
		return a, err
	}

	err = json.NewDecoder(response.Body).Decode(&a)
	a.Status, a.Head = response.StatusCode, response.Header

	return a, errors.Join(err, response.Body.Close())
}

// input reads the input of a posted turn.
func (e *edge) input(a answer) *stream.Reader {
	e.t.Helper()

	r, err := e.store.OpenReader(e.t.Context(), bus.StreamID{Session: a.Session, Stream: a.Turn}, bus.Cursor{})
	if err != nil {
		e.t.Fatal(err)
	}

	e.t.Cleanup(r.Close)

	return r
}

// letters returns the turns that wait for a component.
func (e *edge) letters(component string) []*bus.Letter {
	e.t.Helper()

	var all []*bus.Letter

	ctx, stop := context.WithCancel(e.t.Context())

	err := e.bus.Work(ctx, component, bus.WorkConfig{Concurrency: 1}, func(ctx context.Context, c bus.Claim) {
		defer stop()

		for {
			l, err := c.Next(ctx)
			if err != nil || l == nil {
				return
			}

			all = append(all, l)

			if err := c.Done(ctx, l); err != nil {
				return
			}
		}
	})
	if err != nil {
		e.t.Fatal(err)
	}

	return all
}

const turns = "/v1/sessions/s1/turns"

func TestAPromptBecomesATurn(t *testing.T) {
	t.Parallel()

	e := start(t, web.Config{EventsURL: "http://out.example:8081/"})

	a := e.post(turns, strings.NewReader("héllo\x00\xff"), map[string]string{"Traceparent": "00-0af7-b7ad-01"})
	if a.Status != http.StatusAccepted || a.Session != "s1" || a.Turn == "" {
		t.Fatalf("answer %+v", a)
	}

	if want := "http://out.example:8081/v1/sessions/s1/events?turn=" + a.Turn; a.Events != want {
		t.Errorf("events = %s, want %s", a.Events, want)
	}

	if got, err := e.input(a).ReadAll(t.Context()); err != nil || string(got) != "héllo\x00\xff" {
		t.Errorf("input = %q, error %v", got, err)
	}

	letters := e.letters("llm")
	if len(letters) != 1 || letters[0].ID != a.Turn || letters[0].Session != "s1" {
		t.Errorf("letters = %+v", letters)
	}

	if diff := cmp.Diff(map[string]string{"traceparent": "00-0af7-b7ad-01"}, letters[0].Trace); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
}

func TestTheComponentMayBeChosen(t *testing.T) {
	t.Parallel()

	e := start(t, web.Config{To: "router"})
	e.post(turns, strings.NewReader("a"), nil)
	e.post(turns+"?component=tool", strings.NewReader("b"), nil)

	if n := len(e.letters("router")); n != 1 {
		t.Errorf("%d turns for the default component", n)
	}

	if n := len(e.letters("tool")); n != 1 {
		t.Errorf("%d turns for the chosen component", n)
	}
}

func TestForeignSessionIDsAreEncodedOnce(t *testing.T) {
	t.Parallel()

	e := start(t, web.Config{})

	a := e.post("/v1/sessions/a%2Fb%20%C3%A9/turns", strings.NewReader("x"), nil)
	if a.Session != "e--a_2Fb_20_C3_A9" || a.Events != "/v1/sessions/a%2Fb%20%C3%A9/events?turn="+a.Turn {
		t.Errorf("answer %+v", a)
	}
}

func TestTheContentTypeSaysWhatThePromptIs(t *testing.T) {
	t.Parallel()

	e := start(t, web.Config{})

	for media, want := range map[string]bus.DataType{
		"":                                  bus.Text,
		"text/plain; charset=utf-8":         bus.Text,
		"application/x-www-form-urlencoded": bus.Text,
		"not a media type//":                bus.Text,
		"application/json":                  bus.JSON,
		"application/problem+json":          bus.JSON,
		"audio/ogg":                         bus.Audio,
		"image/png":                         bus.Image,
		"application/octet-stream":          bus.Binary,
	} {
		a := e.post(turns, strings.NewReader("x"), map[string]string{"Content-Type": media})

		ev, err := e.input(a).Next(t.Context())
		if err != nil || ev.Chunk.Type != want {
			t.Errorf("%q: type %q, error %v, want %q", media, ev.Chunk.Type, err, want)
		}
	}
}

func TestAPromptThatCanNotBeTakenIsRefused(t *testing.T) {
	t.Parallel()

	e := start(t, web.Config{MaxBody: 1000})
	long := strings.Repeat("x", 1001)

	for name, tc := range map[string]struct {
		path   string
		body   io.Reader
		status int
	}{
		"empty":            {turns, http.NoBody, http.StatusBadRequest},
		"empty stream":     {turns, io.MultiReader(), http.StatusBadRequest},
		"too long":         {turns, strings.NewReader(long), http.StatusRequestEntityTooLarge},
		"too long stream":  {turns, io.MultiReader(strings.NewReader(long)), http.StatusRequestEntityTooLarge},
		"bad component":    {turns + "?component=a.b", strings.NewReader("x"), http.StatusBadRequest},
		"no component":     {turns + "?component=", strings.NewReader("x"), http.StatusBadRequest},
		"component is any": {turns + "?component=*", strings.NewReader("x"), http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if a := e.post(tc.path, tc.body, nil); a.Status != tc.status || a.Error == "" {
				t.Errorf("answer %+v, want %d and a message", a, tc.status)
			}
		})
	}
}

func TestARepeatedRequestPostsOnce(t *testing.T) {
	t.Parallel()

	e := start(t, web.Config{})
	key := map[string]string{"Idempotency-Key": "order 17/ü"}

	first := e.post(turns, strings.NewReader("buy"), key)
	again := e.post(turns, strings.NewReader("buy"), key)
	streamed := e.post(turns, io.MultiReader(strings.NewReader("buy")), key)
	elsewhere := e.post("/v1/sessions/s2/turns", strings.NewReader("buy"), key)

	for _, a := range []answer{again, streamed} {
		if a.Status != http.StatusAccepted || a.Turn != first.Turn {
			t.Errorf("answer %+v, want turn %s again", a, first.Turn)
		}
	}

	if elsewhere.Turn == first.Turn {
		t.Error("two sessions share a turn")
	}

	var own int

	for _, l := range e.letters("llm") {
		if l.Session == "s1" {
			own++
		}
	}

	if own > 1 {
		t.Errorf("%d turns in the session, want 1", own)
	}
}

// feed is a streamed body that the test writes part by part. What it sends, it knows to have arrived in the stream.
type feed struct {
	*io.PipeWriter

	done chan result
}

type result struct {
	answer answer
	err    error
}

func (e *edge) stream(ctx context.Context, head map[string]string) *feed {
	in, out := io.Pipe()
	f := &feed{out, make(chan result, 1)}

	go func() {
		a, err := e.try(ctx, turns, in, head)
		in.CloseWithError(errors.Join(err, io.ErrClosedPipe))
		f.done <- result{a, err}
	}()

	return f
}

func (f *feed) say(t *testing.T, s string) {
	t.Helper()

	if _, err := io.WriteString(f, s); err != nil {
		t.Fatal(err)
	}
}

// keyed makes the id of a turn known before its answer.
func keyed(e *edge) (head map[string]string, turn answer) {
	e.t.Helper()

	key := map[string]string{"Idempotency-Key": "k"}
	other := start(e.t, web.Config{})

	return key, other.post(turns, strings.NewReader("x"), key)
}

func next(t *testing.T, r *stream.Reader) stream.Event {
	t.Helper()

	ev, err := r.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	return ev
}

func TestAStreamedBodyIsForwardedWhileItArrives(t *testing.T) {
	t.Parallel()

	e := start(t, web.Config{})
	head, turn := keyed(e)
	in := e.input(turn)
	f := e.stream(t.Context(), head)

	f.say(t, "one \xe6\xbc")

	if got := string(next(t, in).Chunk.Data); got != "one " {
		t.Errorf("first chunk %q, want the part before the character that is not complete", got)
	}

	if n := len(e.letters("llm")); n != 1 {
		t.Errorf("%d turns posted while the body arrives, want 1", n)
	}

	f.say(t, "\xa2 two")

	if got := string(next(t, in).Chunk.Data); got != "漢 two" {
		t.Errorf("second chunk %q", got)
	}

	f.say(t, "\xe6")

	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	if got := string(next(t, in).Chunk.Data); got != "\xe6" {
		t.Errorf("last chunk %q, want what is left, as it is", got)
	}

	if ev := next(t, in); ev.End.State != bus.Completed {
		t.Errorf("end = %+v", ev.End)
	}

	if r := <-f.done; r.err != nil || r.answer.Status != http.StatusAccepted || r.answer.Turn != turn.Turn {
		t.Errorf("answer %+v, error %v", r.answer, r.err)
	}
}

func TestABodyThatBreaksOffFailsTheInput(t *testing.T) {
	t.Parallel()

	e := start(t, web.Config{})
	head, turn := keyed(e)
	in := e.input(turn)
	ctx, leave := context.WithCancel(t.Context())
	f := e.stream(ctx, head)

	f.say(t, "half a")
	next(t, in)
	leave()

	ev := next(t, in)
	if ev.End.State != bus.Failed || !strings.Contains(ev.End.Reason, "ended before") {
		t.Errorf("end = %+v", ev.End)
	}

	if err := f.CloseWithError(context.Canceled); err != nil { // the client's own transport waits for its body
		t.Error(err)
	}

	<-f.done

	if a := e.post(turns, strings.NewReader("whole"), head); a.Status != http.StatusConflict {
		t.Errorf("again with the same key: %+v, want %d", a, http.StatusConflict)
	}
}

func TestABodyThatStopsFailsTheInput(t *testing.T) {
	t.Parallel()

	e := start(t, web.Config{BodyPause: 20 * time.Millisecond})
	head, turn := keyed(e)
	in := e.input(turn)
	f := e.stream(t.Context(), head)

	f.say(t, "half a")
	next(t, in)

	if ev := next(t, in); ev.End.State != bus.Failed || !strings.Contains(ev.End.Reason, "nothing of the prompt arrived") {
		t.Errorf("end = %+v", ev.End)
	}

	if r := <-f.done; r.err == nil && r.answer.Status != http.StatusRequestTimeout {
		t.Errorf("answer %+v", r.answer)
	}
}

func TestABodyAboveTheLimitFailsTheInput(t *testing.T) {
	t.Parallel()

	e := start(t, web.Config{MaxBody: 10})
	head, turn := keyed(e)
	in := e.input(turn)
	f := e.stream(t.Context(), head)

	f.say(t, "12345")
	next(t, in)
	f.say(t, "678901")

	if ev := next(t, in); ev.Kind != stream.KindEnd || ev.End.State != bus.Failed || !strings.Contains(ev.End.Reason, "10 bytes") {
		t.Errorf("event = %+v", ev)
	}

	if r := <-f.done; r.err == nil && r.answer.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("answer %+v", r.answer)
	}
}

func TestAWholeBodyThatBreaksOffPostsNothing(t *testing.T) {
	t.Parallel()

	e := start(t, web.Config{})

	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}

	if _, err := io.WriteString(c, "POST "+turns+" HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"); err != nil {
		t.Fatal(err)
	}

	if tcp, ok := c.(*net.TCPConn); !ok || tcp.CloseWrite() != nil {
		t.Fatal("the connection can't be half closed")
	}

	reply, err := io.ReadAll(c)
	if err != nil || !bytes.HasPrefix(reply, []byte("HTTP/1.1 400 ")) {
		t.Errorf("reply %q, error %v", reply, err)
	}

	if err := c.Close(); err != nil {
		t.Error(err)
	}

	e.post(turns, strings.NewReader("whole"), nil)

	if n := len(e.letters("llm")); n != 1 {
		t.Errorf("%d turns, want only the whole one", n)
	}
}

func TestABusThatIsGoneIsSaid(t *testing.T) {
	t.Parallel()

	e := start(t, web.Config{StoreTimeout: time.Second})
	if err := e.bus.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	for _, body := range []io.Reader{strings.NewReader("x"), io.MultiReader(strings.NewReader("x"))} {
		if a := e.post(turns, body, nil); a.Status != http.StatusServiceUnavailable || a.Head.Get("Retry-After") == "" {
			t.Errorf("answer %+v", a)
		}
	}
}

func TestRequestsInProgressFinishWhenTheServerEnds(t *testing.T) {
	t.Parallel()

	e := start(t, web.Config{})
	head, turn := keyed(e)
	ctx, stop := context.WithCancel(t.Context())

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	served := make(chan error, 1)
	go func() { served <- web.Serve(ctx, listener, e.client, web.Config{}) }()

	e.url = "http://" + listener.Addr().String()
	in := e.input(turn)
	f := e.stream(t.Context(), head)

	f.say(t, "one")
	next(t, in)
	stop()
	f.say(t, " two")

	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	if r := <-f.done; r.err != nil || r.answer.Status != http.StatusAccepted {
		t.Errorf("answer %+v, error %v", r.answer, r.err)
	}

	if err := <-served; err != nil {
		t.Error(err)
	}

	if got, err := in.ReadAll(t.Context()); err != nil || string(got) != " two" {
		t.Errorf("the rest of the input = %q, error %v", got, err)
	}
}

func TestALongStreamedTextArrivesInWholeCharacters(t *testing.T) {
	t.Parallel()

	e := start(t, web.Config{})
	want := strings.Repeat("aé漢🜁", 50_000)

	in := e.input(e.post(turns, io.MultiReader(strings.NewReader(want)), nil))

	var got strings.Builder

	for chunk, err := range in.Chunks(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}

		if !utf8.Valid(chunk.Data) {
			t.Fatalf("chunk %d ends within a character", chunk.Index)
		}

		got.Write(chunk.Data)
	}

	if got.String() != want {
		t.Errorf("%d bytes arrived that differ from the %d sent", got.Len(), len(want))
	}
}
