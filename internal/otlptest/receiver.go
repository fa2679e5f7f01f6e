// Package otlptest receives traces as a collector does, over HTTP or gRPC, for tests: a [Receiver] decodes what real exporters
// send, and a test waits until it has the spans that it wants.
package otlptest

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Span is a received span. Ids are in hexadecimal.
type Span struct {
	Name, Kind           string
	Trace, ID, Parent    string
	Failed               bool
	Status               string
	Attributes, Resource map[string]string
	Events               []string
	Links                []string // the ids of the spans that it links to
}

// Receiver is a collector of traces.
type Receiver struct {
	// URL is its endpoint.
	URL string

	mu      sync.Mutex
	spans   []Span
	raw     []byte
	changed chan struct{}
}

// Start starts a receiver that ends with the test.
func Start(t *testing.T) *Receiver {
	t.Helper()

	r := &Receiver{changed: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(server.Close)
	r.URL = server.URL

	return r
}

// StartGRPC starts a receiver that is asked over gRPC. It ends with the test.
func StartGRPC(t *testing.T) *Receiver {
	t.Helper()

	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	r := &Receiver{changed: make(chan struct{}), URL: "http://" + listener.Addr().String()}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, &service{receiver: r})

	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	t.Cleanup(func() {
		server.Stop()

		if err := <-served; err != nil {
			t.Error(err)
		}
	})

	return r
}

// service is the collector's interface over gRPC.
type service struct {
	collector.UnimplementedTraceServiceServer

	receiver *Receiver
}

// Export implements [collector.TraceServiceServer].
func (s *service) Export(
	_ context.Context, batch *collector.ExportTraceServiceRequest,
) (*collector.ExportTraceServiceResponse, error) {
	body, err := proto.Marshal(batch)
	s.receiver.add(batch, body)

	return &collector.ExportTraceServiceResponse{}, err
}

func (r *Receiver) serve(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	batch := &collector.ExportTraceServiceRequest{}

	if err == nil {
		err = proto.Unmarshal(body, batch)
	}

	if err != nil || request.URL.Path != "/v1/traces" {
		http.Error(w, fmt.Sprint("no traces: ", err), http.StatusBadRequest)

		return
	}

	r.add(batch, body)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (r *Receiver) add(batch *collector.ExportTraceServiceRequest, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()

	for _, from := range batch.GetResourceSpans() {
		for _, scope := range from.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				r.spans = append(r.spans, convert(s, attributes(from.GetResource().GetAttributes())))
			}
		}
	}

	r.raw = append(r.raw, body...)
	close(r.changed)
	r.changed = make(chan struct{})
}

// Spans returns what has come.
func (r *Receiver) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()

	return slices.Clone(r.spans)
}

// Raw returns every byte that has come, joined.
func (r *Receiver) Raw() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()

	return slices.Clone(r.raw)
}

// Wait waits for a span for which holds does, and returns the first such one. The test fails when its time is over.
func (r *Receiver) Wait(ctx context.Context, t *testing.T, what string, holds func(Span) bool) Span {
	t.Helper()

	for {
		r.mu.Lock()
		i, changed := slices.IndexFunc(r.spans, holds), r.changed
		r.mu.Unlock()

		if i >= 0 {
			return r.Spans()[i]
		}

		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("no span: %s; there are %+v", what, r.Spans())
		}
	}
}

func convert(s *trace.Span, resource map[string]string) Span {
	out := Span{
		Name: s.GetName(), Kind: s.GetKind().String(), Trace: hex.EncodeToString(s.GetTraceId()),
		ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
		Failed: s.GetStatus().GetCode() == trace.Status_STATUS_CODE_ERROR, Status: s.GetStatus().GetMessage(),
		Attributes: attributes(s.GetAttributes()), Resource: resource,
	}

	for _, e := range s.GetEvents() {
		out.Events = append(out.Events, e.GetName())
		maps.Copy(out.Attributes, attributes(e.GetAttributes()))
	}

	for _, l := range s.GetLinks() {
		out.Links = append(out.Links, hex.EncodeToString(l.GetSpanId()))
	}

	return out
}

func attributes(list []*common.KeyValue) map[string]string {
	out := map[string]string{}

	for _, kv := range list {
		switch v := kv.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			out[kv.GetKey()] = v.StringValue
		case *common.AnyValue_IntValue:
			out[kv.GetKey()] = strconv.FormatInt(v.IntValue, 10)
		case *common.AnyValue_DoubleValue:
			out[kv.GetKey()] = fmt.Sprint(v.DoubleValue)
		case *common.AnyValue_BoolValue:
			out[kv.GetKey()] = strconv.FormatBool(v.BoolValue)
		case *common.AnyValue_ArrayValue:
			for _, one := range v.ArrayValue.GetValues() {
				out[kv.GetKey()] += one.GetStringValue()
			}
		}
	}

	return out
}
