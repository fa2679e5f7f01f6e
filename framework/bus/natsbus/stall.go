package natsbus

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

// writeStall is for how long, at most, a connection takes nothing of what is written to it before it is closed: it is looked
// at twice. The client writes while it holds the lock of the connection, so all that is sent, renewals of leases included,
// waits for as long.
const writeStall = 2 * time.Second

// stallConn is a connection that is closed when it takes nothing for writeStall. A slow one goes on.
//
// The client's own bound is on a whole write, however much of it was taken. When nothing was, it drops what it had to send,
// subscriptions among it, and goes on with the connection.
type stallConn struct{ net.Conn }

// Write implements [net.Conn].
func (c stallConn) Write(p []byte) (int, error) {
	for written := 0; ; {
		if err := c.SetWriteDeadline(time.Now().Add(writeStall / 2)); err != nil {
			return written, fmt.Errorf("bound a write: %w", err)
		}
		n, err := c.Conn.Write(p[written:])
		written += n
		if err == nil {
			return written, nil
		}
		if n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			_ = c.Close() // it is of no use any more

			return written, err
		}
	}
}

// stallDialer makes such connections.
type stallDialer struct{ nats.CustomDialer }

// Dial implements [nats.CustomDialer].
func (d stallDialer) Dial(network, address string) (net.Conn, error) {
	conn, err := d.CustomDialer.Dial(network, address)
	if err != nil {
		return nil, err
	}

	return stallConn{conn}, nil
}

// stallServer makes such connections to a server in this process.
type stallServer struct{ InProcess }

// InProcessConn implements [InProcess].
func (s stallServer) InProcessConn() (net.Conn, error) {
	conn, err := s.InProcess.InProcessConn()
	if err != nil {
		return nil, fmt.Errorf("connect to the server in this process: %w", err)
	}

	return stallConn{conn}, nil
}

// boundWrites makes the client use such connections; a dialer that a context has set makes them. The dialer itself finds the
// addresses of a host, so that they share the time for dialling.
func boundWrites(timeout time.Duration) nats.Option {
	return func(o *nats.Options) error {
		if o.CustomDialer == nil {
			o.CustomDialer, o.SkipHostLookup = &net.Dialer{Timeout: timeout}, true
		}
		o.CustomDialer = stallDialer{o.CustomDialer}
		o.FlusherTimeout = 0

		return nil
	}
}
