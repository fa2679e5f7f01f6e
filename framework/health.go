package framework

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

const (
	healthTimeout = 3 * time.Second
	// defaultHealth is where "healthcheck" asks when nothing says otherwise.
	defaultHealth = "127.0.0.1:8090"
)

// health serves /healthz (the process is alive) and /readyz (it takes work). A nil health serves nothing.
type health struct {
	server *http.Server
	done   chan struct{}
	isUp   atomic.Bool
}

// startHealth serves the health endpoint at addr until closed; at "" there is none.
func startHealth(ctx context.Context, addr string) (*health, error) {
	if addr == "" {
		return nil, nil //nolint:nilnil // a nil health is a valid, silent one
	}

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("serve health on %s: %w; choose another address with -health", addr, err)
	}

	h := &health{done: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, true) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { answer(w, h.isUp.Load()) })

	h.server = &http.Server{Handler: mux, ReadHeaderTimeout: healthTimeout, ReadTimeout: healthTimeout}

	go func() {
		defer close(h.done)

		_ = h.server.Serve(listener) // it ends by close
	}()

	return h, nil
}

func answer(w http.ResponseWriter, ok bool) {
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "not ready\n")

		return
	}

	_, _ = io.WriteString(w, "ok\n")
}

func (h *health) ready(up bool) {
	if h != nil {
		h.isUp.Store(up)
	}
}

// close stops serving and waits for it.
func (h *health) close(ctx context.Context) {
	if h == nil {
		return
	}

	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()

	if err := h.server.Shutdown(ctx); err != nil {
		_ = h.server.Close() // what still reads is cut off
	}

	<-h.done
}

// errUnhealthy: the endpoint answered, but not with 200.
var errUnhealthy = errors.New("not healthy")

// CheckHealth asks a health endpoint and returns nil when it answers with 200. It is what a container's health check
// runs, where there is neither shell nor curl.
func CheckHealth(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return &UsageError{fmt.Errorf("healthcheck %q: %w", url, err)}
	}

	request.Close = true

	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	defer response.Body.Close()

	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("healthcheck %s: %s: %w", url, response.Status, errUnhealthy)
	}

	return nil
}

// healthURL is the URL on the command line, else that of the instance that this environment configures.
func healthURL(args []string, env func(string) string) string {
	if len(args) > 0 {
		return args[0]
	}

	addr := orText(env(envName("health")), defaultHealth)
	if strings.HasPrefix(addr, ":") {
		addr = "127.0.0.1" + addr
	}

	return "http://" + addr + "/readyz"
}

func orText(s, fallback string) string {
	if s == "" {
		return fallback
	}

	return s
}
