package edge

import (
	"net/http"
	"sync"
)

// Routes surrounds the handlers of an edge with what each edge has: GET /healthz, and, unless origin is empty,
// permission for pages of that origin ("*" for all) to use the edge from a browser.
func Routes(routes *http.ServeMux, origin string) http.Handler {
	routes.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n")) // whoever asked has left
	})

	if origin == "" {
		return routes
	}

	return crossOrigin(origin, routes)
}

func crossOrigin(origin string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Access-Control-Allow-Origin", origin)
		head.Add("Vary", "Origin")

		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			next.ServeHTTP(w, r)

			return
		}

		head.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
		head.Set("Access-Control-Allow-Headers", "Content-Type, Idempotency-Key, Last-Event-ID, Traceparent, Tracestate")
		head.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	})
}

// handlers counts the handlers that run: the server's own end doesn't wait for those it cut off.
type handlers struct{ running sync.WaitGroup }

func (h *handlers) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.running.Add(1)
		defer h.running.Done()

		next.ServeHTTP(w, r)
	})
}

func (h *handlers) wait() { h.running.Wait() }
