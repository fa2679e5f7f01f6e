package telemetry

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// The attributes of a request's span, by OpenTelemetry's conventions for HTTP.
const (
	keyMethod = attribute.Key("http.request.method")
	keyRoute  = attribute.Key("http.route")
	keyStatus = attribute.Key("http.response.status_code")
)

// Request begins the span of a request that a route of [http.ServeMux] serves, named after the route. It goes on from the
// request's own trace context. Of the address only the route is recorded.
func (t *Tracer) Request(r *http.Request) (context.Context, *Span) {
	if t == nil {
		return r.Context(), nil
	}

	from := map[string]string{traceParent: r.Header.Get("Traceparent"), traceState: r.Header.Get("Tracestate")}

	return t.begin(r.Context(), from, r.Pattern, trace.SpanKindServer, []attribute.KeyValue{
		keyMethod.String(r.Method), keyRoute.String(r.Pattern),
	})
}

// Answered notes the status of the response. One that is the server's fault is a failure.
func (s *Span) Answered(status int) {
	if s == nil {
		return
	}

	s.span.SetAttributes(keyStatus.Int(status))

	if status >= http.StatusInternalServerError {
		s.span.SetAttributes(keyErrorType.Int(status))
		s.span.SetStatus(codes.Error, http.StatusText(status))
	}
}
