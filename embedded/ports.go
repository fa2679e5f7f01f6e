package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
)

// Ports of cluster nodes come from below the range that systems give to outgoing connections (32768 and up on Linux,
// 49152 elsewhere). A node's port must be free again when the node restarts, and must not be taken meanwhile by one of
// the clients that try to reconnect to it.
const (
	firstPort = 12000
	lastPort  = 31999
	portTries = 100
)

// freePorts returns n distinct loopback ports that are free at the moment.
func freePorts(ctx context.Context, n int) ([]int, error) {
	ports := make([]int, 0, n)
	taken := make(map[int]bool, n)

	for tries := 0; len(ports) < n; tries++ {
		if tries == portTries {
			return nil, &StartError{
				Subject: loopback, Kind: ErrPortTaken, Err: fmt.Errorf("no %d free ports between %d and %d", n, firstPort, lastPort),
				Hint: "stop programs that listen there",
			}
		}

		port, err := randomPort()
		if err != nil {
			return nil, err
		}

		if taken[port] {
			continue
		}

		switch err := (address{tcp: true, host: loopback, port: port}).probe(ctx); {
		case err == nil:
			taken[port] = true
			ports = append(ports, port)
		case !errors.Is(err, ErrPortTaken):
			return nil, err
		}
	}

	return ports, nil
}

func randomPort() (int, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(lastPort-firstPort+1))
	if err != nil {
		return 0, fmt.Errorf("choose a port: %w", err)
	}

	return firstPort + int(n.Int64()), nil
}
