package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"

	"github.com/nats-io/nats-server/v2/server"
)

// Server is a running nats-server with JetStream. All methods may be called concurrently.
type Server struct {
	nats  *server.Server
	log   *serverLog
	dir   *dataDir
	url   string
	close func() error
}

// Start runs a server and returns once clients can connect and all that its directory held is recovered. The caller
// closes it. ctx bounds the look-up of the address; recovery can't be interrupted, but a server whose context has
// ended by then is closed again.
//
// The error is a [*StartError], or the context's. After an error nothing is left behind but the directory.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	at, err := parseListen(cfg.Listen)
	if err != nil {
		return nil, err
	}

	base, err := baseOptions(cfg.File)
	if err != nil {
		return nil, err
	}

	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start embedded server: %w", err)
	}

	if err := at.probe(ctx); err != nil {
		return nil, err
	}

	dir, err := openDir(cfg.Dir)
	if err != nil {
		return nil, err
	}

	s, err := launch(cfg.options(base, dir.path, at), newServerLog(cfg.Logger), dir)
	if err != nil {
		return nil, err
	}

	if err := ctx.Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("start embedded server: %w", err), s.Close())
	}

	return s, nil
}

// launch runs a server on a directory that is released when it closes, also when it does not start.
func launch(opts *server.Options, log *serverLog, dir *dataDir) (*Server, error) {
	ns, err := server.NewServer(opts)
	if err != nil {
		return nil, errors.Join(startFailure(opts, err), dir.release())
	}

	ns.SetLoggerV2(log, false, false, false)

	s := &Server{nats: ns, log: log, dir: dir}
	s.close = sync.OnceValue(s.shutdown)

	ns.Start() // returns when clients can connect, or after it logged why they can't

	if err := log.failure(); err != nil {
		return nil, errors.Join(startFailure(opts, err), s.Close())
	}

	s.url = clientURL(ns.Addr())

	return s, nil
}

// startFailure tells a port that was taken between the probe and the start from other failures.
func startFailure(opts *server.Options, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return cannotListen(net.JoinHostPort(opts.Host, strconv.Itoa(opts.Port)), err)
	}

	if opts.ConfigFile != "" {
		return badFile(opts.ConfigFile, err)
	}

	return &StartError{Err: err}
}

func clientURL(at net.Addr) string {
	tcp, ok := at.(*net.TCPAddr)
	if !ok {
		return ""
	}

	host := tcp.IP.String()
	if tcp.IP.IsUnspecified() {
		host = "127.0.0.1"
	}

	return "nats://" + net.JoinHostPort(host, strconv.Itoa(tcp.Port))
}

// URL returns where clients connect, as nats://host:port, or "" for a server without a listener. For one that listens
// on all interfaces it names the loopback address. It stays the same after Close.
func (s *Server) URL() string { return s.url }

// Dir returns the data directory.
func (s *Server) Dir() string { return s.dir.path }

// InProcessConn returns a new connection to the server within this process; with it a Server is what nats.go takes as
// in-process server. The caller closes the connection. It fails after Close with [ErrClosed].
func (s *Server) InProcessConn() (net.Conn, error) {
	conn, err := s.nats.InProcessConn()
	if err != nil {
		return nil, fmt.Errorf("connect in process: %w: %w", ErrClosed, err)
	}

	return conn, nil
}

// Close ends the server: it cuts off its clients, writes what is pending, and waits until files, listener and
// goroutines are gone. It is idempotent, every call waits and returns the same, and a nil Server is closed.
func (s *Server) Close() error {
	if s == nil {
		return nil
	}

	return s.close()
}

func (s *Server) shutdown() error {
	s.nats.Shutdown()
	s.nats.WaitForShutdown()

	return s.dir.release()
}
