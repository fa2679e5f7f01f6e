package proxy_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/chaos/proxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setup returns a proxy before a server that takes connections.
func setup(t *testing.T) (*proxy.Proxy, <-chan net.Conn) {
	t.Helper()
	server, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns := make(chan net.Conn, 10)
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			conns <- c
		}
	})
	p, err := proxy.Listen(t.Context(), server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		_ = server.Close()
		accepting.Wait()
	})

	return p, conns
}

// connect returns both ends of a connection through the proxy.
func connect(t *testing.T, p *proxy.Proxy, conns <-chan net.Conn) (client, server net.Conn) {
	t.Helper()
	client, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	server = <-conns
	t.Cleanup(func() { _ = client.Close(); _ = server.Close() })

	return client, server
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("received %q, %v; want %q", got, err, want)
	}
}

func TestEverythingPassesInBothDirections(t *testing.T) {
	t.Parallel()
	p, conns := setup(t)
	client, server := connect(t, p, conns)
	data := bytes.Repeat([]byte("0123456789"), 100_000)
	for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() { _, _ = pair[0].Write(data) }()
		got := make([]byte, len(data))
		if _, err := io.ReadFull(pair[1], got); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes arrived changed, or %v", len(got), err)
		}
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	for _, d := range []proxy.Direction{proxy.Up, proxy.Down} {
		if n := p.Passed(d); n < int64(len(data)-64<<10) { // the last piece is counted after it has left
			t.Errorf("%d bytes of %d are said to have passed", n, len(data))
		}
	}
	if n, err := server.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("after the client left: %d bytes, %v", n, err)
	}
}

func TestCutResetsBothSidesAndTakesNewConnections(t *testing.T) {
	t.Parallel()
	p, conns := setup(t)
	client, server := connect(t, p, conns)
	send(t, client, "x")
	receive(t, server, "x")
	if n := p.Cut(); n != 1 {
		t.Errorf("cut %d connections, want 1", n)
	}
	for _, c := range []net.Conn{client, server} {
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("read after the cut: %v, want a reset", err)
		}
	}
	client, server = connect(t, p, conns)
	send(t, server, "again")
	receive(t, client, "again")
}

func TestDelayHoldsBytes(t *testing.T) {
	t.Parallel()
	const delay = 50 * time.Millisecond
	p, conns := setup(t)
	client, server := connect(t, p, conns)
	p.Delay(delay)
	begin := time.Now()
	send(t, client, "slow")
	receive(t, server, "slow")
	send(t, server, "slow")
	receive(t, client, "slow")
	if took := time.Since(begin); took < 2*delay {
		t.Errorf("there and back took %v, want at least %v", took, 2*delay)
	}
}

// quiet checks that nothing arrives for a while.
func quiet(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes passed a stalled link, %v", n, err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
}

func TestAHalfOpenLinkHoldsOneDirectionUntilItHeals(t *testing.T) {
	t.Parallel()
	p, conns := setup(t)
	client, server := connect(t, p, conns)
	p.Stall(proxy.Up)
	p.Stall(proxy.Up) // twice is once
	send(t, client, "held")
	quiet(t, server)
	send(t, server, "passes")
	receive(t, client, "passes")
	late, lateServer := connect(t, p, conns) // a new connection is no better
	send(t, late, "late")
	quiet(t, lateServer)
	p.Heal()
	receive(t, server, "held")
	receive(t, lateServer, "late")
	p.Stall(proxy.Down)
	send(t, server, "held")
	quiet(t, client)
	p.Cut() // a stalled link can be cut
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Error("a cut link delivered what it held")
	}
}

func TestAMissingTargetResetsTheClient(t *testing.T) {
	t.Parallel()
	p, err := proxy.Listen(t.Context(), "127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	client, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.Addr())
	if err == nil { // else the reset was faster
		if _, err := client.Read(make([]byte, 1)); err == nil {
			t.Error("the client is connected to nothing")
		}
		_ = client.Close()
	}
	p.Close()
	p.Close() // idempotent
}
