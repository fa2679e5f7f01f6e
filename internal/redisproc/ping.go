package redisproc

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// pingTimeout bounds one try to reach a server that may still be starting.
const pingTimeout = time.Second

var (
	errAnswer    = errors.New("unexpected answer")
	errAuthority = errors.New("no certificate in the file")
)

// ping returns nil when the server at addr answers and has loaded its data.
func (c *Config) ping(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()

	return c.command(ctx, addr, "+PONG", "PING")
}

// command sends one command over a connection of its own. ctx must have a deadline.
func (c *Config) command(ctx context.Context, addr, want, command string) error {
	conn, err := c.dial(ctx, addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()

	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}

	answers := bufio.NewReader(conn)

	if c.Password != "" {
		if err := ask(conn, answers, "+OK", "AUTH", c.Password); err != nil {
			return err
		}
	}

	return ask(conn, answers, want, command)
}

// ask sends one command and expects a one-line answer.
func ask(conn net.Conn, answers *bufio.Reader, want string, command ...string) error {
	var b strings.Builder

	fmt.Fprintf(&b, "*%d\r\n", len(command))

	for _, arg := range command {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(arg), arg)
	}

	if _, err := conn.Write([]byte(b.String())); err != nil {
		return err
	}

	line, err := answers.ReadString('\n')
	if err != nil {
		return err
	}

	if got := strings.TrimSpace(line); got != want {
		return fmt.Errorf("%s: %w: %s", command[0], errAnswer, got)
	}

	return nil
}

func (c *Config) dial(ctx context.Context, addr string) (net.Conn, error) {
	network := "tcp"
	if c.Socket != "" {
		network = "unix"
	}

	if !c.secure() {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}

	settings, err := c.TLS.client()
	if err != nil {
		return nil, err
	}

	return (&tls.Dialer{Config: settings}).DialContext(ctx, network, addr)
}

// client returns settings that trust the authority and show the server's own certificate where one is asked for.
func (t TLS) client() (*tls.Config, error) {
	pem, err := os.ReadFile(t.CA)
	if err != nil {
		return nil, err
	}

	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read authority: %s: %w", t.CA, errAuthority)
	}

	cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, err
	}

	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, Certificates: []tls.Certificate{cert}}, nil
}
