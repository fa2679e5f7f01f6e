package operator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

const (
	tryTimeout = 2 * time.Second
	retryWait  = 100 * time.Millisecond
)

// errAnswer: the server did not answer as expected.
var errAnswer = errors.New("unexpected answer")

// insist calls try with a new connection until it succeeds or ctx ends.
func insist(ctx context.Context, addr string, try func(net.Conn) error) error {
	for {
		err := once(ctx, addr, try)
		if err == nil {
			return nil
		}
		timer := time.NewTimer(retryWait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()

			return fmt.Errorf("ask server: %w", err)
		}
	}
}

func once(ctx context.Context, addr string, try func(net.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // what it was for is done or is repeated
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}

	return try(conn)
}
