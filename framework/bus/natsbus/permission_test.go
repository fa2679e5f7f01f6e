package natsbus

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/bus"
)

// denier stands between a client and a server and can refuse publishes as a server with permissions does, at a moment
// of the test's choice: it answers with an error after passing them on. Servers with permissions are in secure_test.go.
type denier struct {
	listener net.Listener
	server   string

	mu      sync.Mutex
	clients []net.Conn
}

func newDenier(t *testing.T, server string) *denier {
	t.Helper()
	var lc net.ListenConfig
	d := &denier{listener: must(lc.Listen(t.Context(), "tcp", "127.0.0.1:0"))(t), server: strings.TrimPrefix(server, "nats://")}
	var wg sync.WaitGroup
	wg.Go(func() { d.accept(&wg) })
	t.Cleanup(func() {
		_ = d.listener.Close()
		d.mu.Lock()
		for _, c := range d.clients {
			_ = c.Close()
		}
		d.mu.Unlock()
		wg.Wait()
	})

	return d
}

func (d *denier) accept(wg *sync.WaitGroup) {
	for {
		client, err := d.listener.Accept()
		if err != nil {
			return
		}
		var dialer net.Dialer
		server, err := dialer.DialContext(context.Background(), "tcp", d.server)
		if err != nil {
			_ = client.Close()

			return
		}
		d.mu.Lock()
		d.clients = append(d.clients, client, server)
		d.mu.Unlock()
		wg.Go(func() { _, _ = io.Copy(server, client) })
		wg.Go(func() { _, _ = io.Copy(client, server) })
	}
}

// deny tells the clients that they may not publish to a subject.
func (d *denier) deny(t *testing.T, subject string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := 0; i < len(d.clients); i += 2 {
		if _, err := io.WriteString(d.clients[i], "-ERR 'Permissions Violation for Publish to \""+subject+"\"'\r\n"); err != nil {
			t.Error(err)
		}
	}
}

// TestDeniedPublishSaysSo has a publish refused, which the server tells a client without saying which one.
func TestDeniedPublishSaysSo(t *testing.T) {
	t.Parallel()
	d := newDenier(t, embeddedtest.Run(t).URL())
	b := open(t, Config{URL: "nats://" + d.listener.Addr().String(), AppendTimeout: patience})
	subject := must(b.ns.Log("s", "nobody"))(t)
	silent := must(b.nc.SubscribeSync("silent." + subject))(t)
	m := must(b.req.start(&nats.Msg{Subject: "silent." + subject}, patience))(t)
	must(silent.NextMsg(patience))(t)
	d.deny(t, "silent."+subject)
	begun := time.Now()
	_, err := b.req.wait(t.Context(), m)
	if err == nil || !strings.Contains(err.Error(), "silent."+subject) || errors.Is(err, bus.ErrUnknown) {
		t.Errorf("denied publish: %v", err)
	}
	if took := time.Since(begun); took > patience/2 {
		t.Errorf("it took %v", took)
	}
	if b.Err() != nil || b.nc.IsClosed() {
		t.Errorf("the bus ended: %v", b.Err())
	}
	fill(t, b, testID(1), 1)
}

// TestAUserWhoMayNotAnnounce is told so once in the log, and nothing else changes.
func TestAUserWhoMayNotAnnounce(t *testing.T) {
	t.Parallel()
	logged := &lines{}
	cfg := Config{
		URL: serve(t, shopPermissions(t)), User: "ann", Password: "s3cret", App: "shop", Name: "shop", AppendTimeout: patience,
		Logger: zerolog.New(logged).Level(zerolog.WarnLevel),
	}
	b := open(t, cfg)
	stop := must(b.Announce(t.Context(), bus.Announcement{At: bus.Endpoint{Component: "a", Instance: "x"}}))(t)
	defer stop()
	logged.until(t, "grant the right to subscribe to "+micro.APIPrefix)
	fill(t, b, testID(1), 1) // behind all that the server has refused
	if err := b.refused.Load(); err != nil {
		t.Errorf("the server refused %v", *err)
	}
	if said := logged.until(t, "grant"); strings.Count(said, "\n") != 1 {
		t.Errorf("the log says\n%s", said)
	}
}
