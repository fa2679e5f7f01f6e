package proc

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// The ports are below those that systems give to outgoing connections: a client that tries to come back must not take
// the port of the server that it waits for.
const (
	firstPort = 12000
	lastPort  = 31999
	portTries = 100
)

var errNoPort = errors.New("no free port")

// FreeAddress returns an address of the loopback interface on which nothing listens.
func FreeAddress(ctx context.Context) (string, error) {
	for range portTries {
		port := firstPort + rand.IntN(lastPort-firstPort)
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
		if err == nil {
			return addr, listener.Close()
		}
	}

	return "", fmt.Errorf("%w between %d and %d", errNoPort, firstPort, lastPort)
}
