package proxy

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Direction is one half of every connection.
type Direction int

// The directions.
const (
	// Up is from the client to the target.
	Up Direction = iota
	// Down is from the target to the client.
	Down
	directions
)

// Proxy forwards TCP connections to a target. All methods may be called concurrently.
type Proxy struct {
	target   string
	listener net.Listener
	running  sync.WaitGroup
	passed   [directions]atomic.Int64

	mu     sync.Mutex
	links  map[*link]struct{}
	delay  time.Duration
	open   [directions]chan struct{} // closed while the direction forwards
	closed bool
}

// Listen opens a proxy for the target on a free port of the loopback interface. Whoever opens it must close it.
func Listen(ctx context.Context, target string) (*Proxy, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open proxy: %w", err)
	}
	p := &Proxy{target: target, listener: listener, links: make(map[*link]struct{})}
	for d := range p.open {
		p.open[d] = make(chan struct{})
		close(p.open[d])
	}
	p.running.Go(p.accept)

	return p, nil
}

// Addr returns the address that clients use instead of the target's.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Passed returns how many bytes went in a direction so far, over all connections.
func (p *Proxy) Passed(d Direction) int64 { return p.passed[d].Load() }

// Cut resets all present connections on both sides and returns how many there were. New ones are accepted at once.
func (p *Proxy) Cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.links)
	for l := range p.links {
		l.cut()
	}

	return n
}

// Delay holds every byte that is read from now on for d, in each direction. Zero ends the delay.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Stall lets nothing pass in one direction, on present and new connections, until Heal.
func (p *Proxy) Stall(d Direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if isClosed(p.open[d]) {
		p.open[d] = make(chan struct{})
	}
}

// Heal ends every fault. What was held is delivered.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = 0
	for _, open := range p.open {
		if !isClosed(open) {
			close(open)
		}
	}
}

// Close cuts everything, stops listening, and waits for the proxy's goroutines. It is idempotent.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.listener.Close() // a second close fails, and changes nothing
	p.Cut()
	p.running.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.running.Go(func() { p.serve(client) })
	}
}

// dialTimeout bounds the way to a target that does not answer.
const dialTimeout = 5 * time.Second

// serve forwards one connection to its end. A client whose target can't be reached is reset.
func (p *Proxy) serve(client net.Conn) {
	dialer := net.Dialer{Timeout: dialTimeout}
	server, err := dialer.Dial("tcp", p.target)
	if err != nil {
		reset(client)

		return
	}
	l := newLink(client, server)
	if !p.add(l) {
		l.cut()

		return
	}
	l.forward(p)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

func (p *Proxy) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.links[l] = struct{}{}

	return true
}

// due returns when bytes that are read now shall leave.
func (p *Proxy) due() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.delay == 0 {
		return time.Time{}
	}

	return time.Now().Add(p.delay)
}

// gate returns a channel that is closed when the direction forwards.
func (p *Proxy) gate(d Direction) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()

	return p.open[d]
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
