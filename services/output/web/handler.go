package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/framework/telemetry"
	"github.com/woodwork-go/woodwork/services/internal/edge"
	"github.com/woodwork-go/woodwork/subjects"
)

// Source opens followers of sessions; [framework.Client] is one, and so is [stream.Store].
type Source interface {
	Follow(ctx context.Context, cfg stream.FollowConfig) (*stream.Follower, error)
}

// Config says how events are served. The zero value works.
type Config struct {
	// Origin is the origin whose pages may read from a browser, or "*". Defaults to none.
	Origin string
	// Heartbeat is after how much silence a comment is sent, so that nothing between server and client takes the
	// connection for dead. Defaults to 15 s.
	Heartbeat time.Duration
	// Retry is how long clients shall wait before they connect again. Defaults to 2 s.
	Retry time.Duration
	// WriteTimeout is how long a client may take no bytes before its connection is closed. Defaults to 30 s.
	WriteTimeout time.Duration
	// Tracer makes a span for each response, to which the spans of the streams that it shows link. Defaults to none.
	Tracer *telemetry.Tracer
}

func (c Config) withDefaults() Config {
	if c.Heartbeat == 0 {
		c.Heartbeat = 15 * time.Second
	}

	if c.Retry == 0 {
		c.Retry = 2 * time.Second
	}

	if c.WriteTimeout == 0 {
		c.WriteTimeout = 30 * time.Second
	}

	return c
}

const drain = 5 * time.Second

// Serve serves events on the listener until ctx ends, and returns nil then. Clients that are connected get the end of
// their response at once; they go on elsewhere from the last id. It closes the listener.
func Serve(ctx context.Context, listener net.Listener, src Source, cfg Config) error {
	return edge.Serve(ctx, listener, until(ctx, NewHandler(src, cfg)), drain) //nolint:wrapcheck // it says what it was doing
}

// until ends requests when ctx ends.
func until(ctx context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own, cancel := context.WithCancel(r.Context())
		defer cancel()

		defer context.AfterFunc(ctx, cancel)()

		next.ServeHTTP(w, r.WithContext(own))
	})
}

// NewHandler returns the edge as a handler, for a server of the caller's own. That server must not limit the time of
// an answer.
func NewHandler(src Source, cfg Config) http.Handler {
	h := &handler{src: src, cfg: cfg.withDefaults()}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /v1/sessions/{session}/events", h.events)

	return edge.Routes(routes, cfg.Origin)
}

type handler struct {
	src Source
	cfg Config
}

func (h *handler) events(w http.ResponseWriter, r *http.Request) {
	ctx, span := h.cfg.Tracer.Request(r)
	defer span.End()

	r = r.WithContext(ctx)

	follow, err := wanted(r)
	if err != nil {
		span.Answered(http.StatusBadRequest)
		edge.WriteError(w, http.StatusBadRequest, err.Error())

		return
	}

	c := &client{
		cfg:     h.cfg,
		src:     h.src,
		out:     w,
		control: http.NewResponseController(w),
		follow:  follow,
	}

	follower, err := h.src.Follow(r.Context(), c.follow)
	if err != nil {
		span.Answered(writeError(w, err))

		return
	}

	span.Answered(http.StatusOK)
	setHeader(w.Header())

	if r.Method == http.MethodHead {
		follower.Close()

		return
	}

	c.serve(r.Context(), follower)
}

// errFrom: the query asks for a beginning that there is not.
var errFrom = errors.New("use from=now, or leave it out to read the session from its beginning")

// wanted is what of which session the client wants. The header, which a browser sets when it connects again, is newer
// than the query of the address.
func wanted(r *http.Request) (stream.FollowConfig, error) {
	query := r.URL.Query()
	follow := stream.FollowConfig{Session: subjects.Encode(r.PathValue("session")), Turn: query.Get("turn")}

	id := r.Header.Get("Last-Event-ID")
	if id == "" {
		id = query.Get("last_event_id")
	}

	if from := query.Get("from"); from != "" && from != "now" {
		return follow, fmt.Errorf("from=%.40q: %w", from, errFrom)
	}

	follow.New = id == "" && query.Get("from") == "now"

	var err error

	follow.From, err = stream.ParseSessionCursor(id)

	return follow, err //nolint:wrapcheck // it says what is wrong
}

func setHeader(head http.Header) {
	head.Set("Content-Type", "text/event-stream")
	head.Set("Cache-Control", "no-cache, no-transform")
	head.Set("X-Accel-Buffering", "no")
}

// writeError answers with the status that fits err, and returns it.
func writeError(w http.ResponseWriter, err error) int {
	switch {
	case errors.Is(err, stream.ErrExpired):
		edge.WriteError(w, http.StatusGone, "the place after this id is not stored any more; read from the beginning")

		return http.StatusGone
	case errors.Is(err, bus.ErrInvalid), errors.Is(err, subjects.ErrInvalid):
		edge.WriteError(w, http.StatusBadRequest, err.Error())

		return http.StatusBadRequest
	default:
		w.Header().Set("Retry-After", "1")
		edge.WriteError(w, http.StatusServiceUnavailable, "the session can't be read at the moment: "+err.Error())

		return http.StatusServiceUnavailable
	}
}
