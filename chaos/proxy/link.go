package proxy

import (
	"net"
	"sync"
	"time"
)

const (
	pieceBytes  = 32 << 10
	queuePieces = 16
)

// link is one connection through the proxy.
type link struct {
	client, server net.Conn
	once           sync.Once
	done           chan struct{}
}

// piece is some bytes on their way.
type piece struct {
	data []byte
	due  time.Time
}

func newLink(client, server net.Conn) *link {
	return &link{client: client, server: server, done: make(chan struct{})}
}

// forward copies both directions until either side closes or the link is cut.
func (l *link) forward(p *Proxy) {
	var running sync.WaitGroup
	for d, pair := range [directions][2]net.Conn{Up: {l.client, l.server}, Down: {l.server, l.client}} {
		queue := make(chan piece, queuePieces)
		running.Go(func() { l.read(p, pair[0], queue) })
		running.Go(func() { l.write(p, Direction(d), pair[1], queue) })
	}
	running.Wait()
}

// read queues what comes from one side. The end of the stream is the end of the queue.
func (l *link) read(p *Proxy, from net.Conn, queue chan<- piece) {
	defer close(queue)
	for {
		buf := make([]byte, pieceBytes)
		n, err := from.Read(buf)
		if n > 0 {
			select {
			case queue <- piece{buf[:n], p.due()}:
			case <-l.done:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// write passes pieces on to the other side and closes both when there are no more.
func (l *link) write(p *Proxy, d Direction, to net.Conn, queue <-chan piece) {
	defer l.close()
	for {
		select {
		case next, more := <-queue:
			if !more || !l.wait(p, d, next.due) {
				return
			}
			if _, err := to.Write(next.data); err != nil {
				return
			}
			p.passed[d].Add(int64(len(next.data)))
		case <-l.done:
			return
		}
	}
}

// wait returns true when a piece may leave, and false when the link is closed first.
func (l *link) wait(p *Proxy, d Direction, due time.Time) bool {
	if !due.IsZero() {
		timer := time.NewTimer(time.Until(due))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-l.done:
			return false
		}
	}
	select {
	case <-p.gate(d):
		return true
	case <-l.done:
		return false
	}
}

// close closes both sides.
func (l *link) close() {
	l.once.Do(func() {
		close(l.done)
		_ = l.client.Close()
		_ = l.server.Close()
	})
}

// cut closes both sides so that they see a reset.
func (l *link) cut() {
	l.once.Do(func() {
		close(l.done)
		reset(l.client)
		reset(l.server)
	})
}

// reset closes a connection and drops what is in flight.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the other side sees a regular end, which is a fault too
	}
	_ = c.Close()
}
