package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

const anyPort = -1 // the server's word for a free port

// address is where a server listens for clients; the zero value is nowhere.
type address struct {
	tcp  bool
	host string
	port int
}

// parseListen reads Config.Listen.
func parseListen(listen string) (address, error) {
	if listen == "" {
		return address{}, nil
	}

	host, digits, err := net.SplitHostPort(listen)
	if err != nil {
		return address{}, badListen(listen, err)
	}

	port, err := strconv.Atoi(digits)
	if err != nil {
		return address{}, badListen(listen, err)
	}

	if port < anyPort || port > 65535 {
		return address{}, badListen(listen, fmt.Errorf("port %d is out of range", port))
	}

	if port == 0 {
		port = anyPort
	}

	return address{tcp: true, host: host, port: port}, nil
}

// String returns "host:port".
func (a address) String() string { return net.JoinHostPort(a.host, strconv.Itoa(a.port)) }

// probe fails when nothing can listen on the address at the moment. The server is told the address only afterwards,
// because what it reports of a port it can't have is a line in its log.
func (a address) probe(ctx context.Context) error {
	if !a.tcp || a.port == anyPort {
		return nil
	}

	l, err := new(net.ListenConfig).Listen(ctx, "tcp", a.String())
	if err != nil {
		return cannotListen(a.String(), err)
	}

	if err := l.Close(); err != nil {
		return cannotListen(a.String(), err)
	}

	return nil
}

func cannotListen(at string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return &StartError{
			Subject: at, Kind: ErrPortTaken,
			Hint: "stop the program that listens there, connect to it if it is a NATS server, or choose another port",
		}
	}

	return &StartError{Subject: at, Err: err, Hint: "choose another address"}
}

func badListen(listen string, err error) error {
	return &StartError{Subject: strconv.Quote(listen), Err: err, Hint: `write the address as "host:port", as in 127.0.0.1:4222`}
}
