// Package lane puts Woodwork, the bare brokers and the peers behind one interface, so that one program measures them all
// the same way. Each lane is set up as its own documentation recommends for speed, with the same durability.
//
// File map: nats.go and redis.go the bare brokers; watermill.go the peers; woodwork.go Woodwork on each bus.
package lane

import "context"

// Lane carries messages from one sender to one receiver, in order.
type Lane interface {
	// Send hands a message over. Whether it waits until the message is stored is the lane's own way. It copies data.
	Send(ctx context.Context, data []byte) error
	// Receive waits for the next message. It may be called while Send runs.
	Receive(ctx context.Context) ([]byte, error)
	// Close gives everything back.
	Close(ctx context.Context) error
}

// Opener opens a new lane, with a stream of its own.
type Opener func(ctx context.Context) (Lane, error)
