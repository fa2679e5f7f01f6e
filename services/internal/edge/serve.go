package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

const (
	maxHeader     = 64 << 10
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
)

// Listen opens a TCP listener. Its error names the address and says what to do.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w; choose another address with -http", err)
	}

	return listener, nil
}

// Serve answers requests on the listener with h until ctx ends, and returns nil then. Requests in progress get drain
// to finish; what is left is cut off, and the context of its request ends. Handlers that shall not be waited for
// look at ctx themselves. The time for a request's head is limited, that for its body and for the answer is the
// handler's business. Serve closes the listener and returns after the last handler did.
func Serve(ctx context.Context, listener net.Listener, h http.Handler, drain time.Duration) error {
	life, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()

	var running handlers

	server := &http.Server{
		Handler:           running.count(h),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return life },
	}

	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()

	select {
	case err := <-failed:
		return fmt.Errorf("serve http: %w", err)
	case <-ctx.Done():
	}

	err := shutDown(life, server, drain)

	cut()

	if reason := <-failed; !errors.Is(reason, http.ErrServerClosed) {
		err = errors.Join(err, reason)
	}

	running.wait()

	return err
}

// shutDown lets requests finish for at most drain and then closes their connections.
func shutDown(ctx context.Context, server *http.Server, drain time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, drain)
	defer cancel()

	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}

	if err != nil {
		return fmt.Errorf("end http: %w", err)
	}

	return nil
}
