package web

import (
	"context"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/framework/telemetry"
	"github.com/woodwork-go/woodwork/services/internal/edge"
	"github.com/woodwork-go/woodwork/subjects"
)

// Poster posts turns and cancels them; [framework.Client] is one.
type Poster interface {
	Post(ctx context.Context, p framework.Post, data []byte) (framework.Ref, error)
	Open(ctx context.Context, p framework.Post) (*stream.Writer, framework.Ref, error)
	Cancel(ctx context.Context, ref framework.Ref, reason string) error
}

// Config says how prompts are taken. The zero value works.
type Config struct {
	// To is the component that gets the turns of requests that don't name one. Defaults to "llm".
	To string
	// EventsURL is the base URL of the output service as clients reach it, such as "http://127.0.0.1:8081", for the
	// address of a turn's events. Defaults to none: the address is only a path.
	EventsURL string
	// Origin is the origin whose pages may post from a browser, or "*". Defaults to none.
	Origin string
	// MaxBody is the longest prompt in bytes. Defaults to 16 MiB.
	MaxBody int64
	// BodyPause is how long a body may stop arriving before it counts as broken off. Defaults to 1 minute.
	BodyPause time.Duration
	// StoreTimeout is how long the bus may take to store a part of a prompt. Defaults to 10 s.
	StoreTimeout time.Duration
	// Drain is how long requests in progress may go on when the server ends. Defaults to 10 s.
	Drain time.Duration
	// Tracer makes a span for each prompt, from which its turn goes on. Defaults to none: turns go on from the request's
	// own trace context.
	Tracer *telemetry.Tracer
}

func (c Config) withDefaults() Config {
	if c.To == "" {
		c.To = "llm"
	}

	if c.MaxBody == 0 {
		c.MaxBody = 16 << 20
	}

	if c.BodyPause == 0 {
		c.BodyPause = time.Minute
	}

	if c.StoreTimeout == 0 {
		c.StoreTimeout = 10 * time.Second
	}

	if c.Drain == 0 {
		c.Drain = 10 * time.Second
	}

	return c
}

// Serve takes prompts on the listener until ctx ends, lets requests in progress finish, and returns nil. It closes the
// listener.
func Serve(ctx context.Context, listener net.Listener, p Poster, cfg Config) error {
	cfg = cfg.withDefaults()

	return edge.Serve(ctx, listener, NewHandler(p, cfg), cfg.Drain) //nolint:wrapcheck // it says what it was doing
}

// NewHandler returns the edge as a handler, for a server of the caller's own.
func NewHandler(p Poster, cfg Config) http.Handler {
	h := &handler{poster: p, cfg: cfg.withDefaults()}
	routes := http.NewServeMux()
	routes.HandleFunc("POST /v1/sessions/{session}/turns", h.post)
	routes.HandleFunc("DELETE /v1/sessions/{session}/turns", h.cancel)
	routes.HandleFunc("DELETE /v1/sessions/{session}/turns/{turn}", h.cancel)

	return edge.Routes(routes, cfg.Origin)
}

type handler struct {
	poster Poster
	cfg    Config
}

// accepted is the answer to a prompt.
type accepted struct {
	framework.Ref

	// Events is where to read the turn's answer.
	Events string `json:"events"`
}

func (h *handler) post(w http.ResponseWriter, r *http.Request) {
	ctx, span := h.cfg.Tracer.Request(r)
	defer span.End()

	ref, err := h.take(w, r.WithContext(ctx), span)
	if err != nil {
		span.Answered(writeError(w, err))

		return
	}

	span.Answered(http.StatusAccepted)
	edge.WriteJSON(w, http.StatusAccepted, accepted{Ref: ref, Events: h.events(r.PathValue("session"), ref.Turn)})
}

// take posts the request's body as a turn.
func (h *handler) take(w http.ResponseWriter, r *http.Request, span *telemetry.Span) (framework.Ref, error) {
	p, err := h.describe(r)
	if err != nil {
		return framework.Ref{}, err
	}

	p.Trace = span.Trace(p.Trace)

	if r.ContentLength > h.cfg.MaxBody {
		return framework.Ref{}, h.tooLong()
	}

	body := newBody(w, r, h.cfg)
	if r.ContentLength >= 0 {
		return h.postWhole(r.Context(), body, p)
	}

	return h.postStreamed(r.Context(), body, p)
}

// describe says what the turn is for.
func (h *handler) describe(r *http.Request) (framework.Post, error) {
	p := framework.Post{
		Session:   subjects.Encode(r.PathValue("session")),
		Component: h.cfg.To,
		Type:      dataType(r.Header.Get("Content-Type")),
		Trace:     trace(r.Header),
	}

	query := r.URL.Query()
	if query.Has("component") {
		p.Component = query.Get("component")
	}

	if query.Has("policy") {
		if err := p.Policy.UnmarshalText([]byte(query.Get("policy"))); err != nil {
			return p, &statusError{http.StatusBadRequest, err.Error()}
		}
	}

	if err := subjects.CheckID("component", p.Component); err != nil {
		return p, &statusError{http.StatusBadRequest, err.Error()}
	}

	if key := r.Header.Get("Idempotency-Key"); key != "" {
		p.ID = subjects.Derive(p.Session, "http", key)
	}

	return p, nil
}

// events is the address of a turn's events. It holds the session id as the client wrote it, because that is what the
// output service will encode.
func (h *handler) events(session, turn string) string {
	return strings.TrimSuffix(h.cfg.EventsURL, "/") +
		"/v1/sessions/" + url.PathEscape(session) + "/events?turn=" + url.QueryEscape(turn)
}

func (h *handler) tooLong() error {
	return &statusError{
		http.StatusRequestEntityTooLarge,
		fmt.Sprintf("the prompt is longer than %d bytes; shorten it or split it into several turns", h.cfg.MaxBody),
	}
}

// dataType maps a media type. Forms are text: it is what curl -d says of a plain prompt.
func dataType(contentType string) bus.DataType {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return bus.Text
	}

	switch kind, _, _ := strings.Cut(media, "/"); {
	case media == "application/json" || strings.HasSuffix(media, "+json"):
		return bus.JSON
	case kind == "text" || media == "application/x-www-form-urlencoded":
		return bus.Text
	case kind == "audio":
		return bus.Audio
	case kind == "image":
		return bus.Image
	default:
		return bus.Binary
	}
}

// maxTrace bounds what of a client's trace context travels with every frame.
const maxTrace = 512

func trace(head http.Header) map[string]string {
	parent, state := head.Get("Traceparent"), head.Get("Tracestate")

	switch {
	case parent == "" || len(parent) > maxTrace:
		return nil
	case state == "" || len(state) > maxTrace:
		return map[string]string{"traceparent": parent}
	default:
		return map[string]string{"traceparent": parent, "tracestate": state}
	}
}
