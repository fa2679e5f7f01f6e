package framework

import (
	"cmp"
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

// health serves /healthz (the process can go on: it has not failed, nor has its bus ended) and /readyz (it takes work
// and others can see it in the registry; with details for ?detail, or where JSON is accepted). A nil health serves nothing.
type health struct {
	server *http.Server
	addr   string
	done   chan struct{}
	self   atomic.Pointer[presence] // nil until there is an instance to watch
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

	h := &health{addr: listener.Addr().String(), done: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, h.check((*presence).alive, nil)) })
	mux.HandleFunc("GET /readyz", h.readyz)

	h.server = &http.Server{Handler: mux, ReadHeaderTimeout: healthTimeout, ReadTimeout: healthTimeout}

	go func() {
		defer close(h.done)

		_ = h.server.Serve(listener) // it ends by close
	}()

	return h, nil
}

func answer(w http.ResponseWriter, problem error) {
	if problem != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "not ready: "+problem.Error()+"\n")

		return
	}

	_, _ = io.WriteString(w, "ok\n")
}

// watch makes the endpoint speak of an instance.
func (h *health) watch(p *presence) {
	if h != nil {
		h.self.Store(p)
	}
}

// check asks the instance, or returns before while there is none.
func (h *health) check(ask func(*presence) error, before error) error {
	if p := h.self.Load(); p != nil {
		return ask(p)
	}

	return before
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

	addr := cmp.Or(env(envName("health")), defaultHealth)
	if strings.HasPrefix(addr, ":") {
		addr = "127.0.0.1" + addr
	}

	return "http://" + addr + "/readyz"
}
