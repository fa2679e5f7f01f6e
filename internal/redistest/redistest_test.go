package redistest_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// command sends one line to the server and returns the first line of the answer that is no length.
func command(t *testing.T, s *redistest.Server, line string) string {
	t.Helper()

	conn, err := dial(t, s)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()

	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}

	if _, err := io.WriteString(conn, line+"\r\n"); err != nil {
		t.Fatal(err)
	}

	answer := bufio.NewReader(conn)
	for {
		text, err := answer.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}

		if !strings.HasPrefix(text, "$") || strings.HasPrefix(text, "$-1") {
			return strings.TrimSpace(text)
		}
	}
}

func dial(t *testing.T, s *redistest.Server) (net.Conn, error) {
	t.Helper()

	switch u, err := url.Parse(s.URL()); {
	case err != nil:
		return nil, err
	case u.Scheme == "unix":
		return new(net.Dialer).DialContext(t.Context(), "unix", u.Path)
	case u.Scheme == "rediss":
		pem, err := os.ReadFile(s.TLS().CA)
		if err != nil {
			return nil, err
		}

		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)

		settings := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}

		return (&tls.Dialer{Config: settings}).DialContext(t.Context(), "tcp", u.Host)
	default:
		return new(net.Dialer).DialContext(t.Context(), "tcp", u.Host)
	}
}

func TestDataOutlivesTheProcess(t *testing.T) {
	t.Parallel()

	for _, c := range []struct {
		o    redistest.Options
		end  func(*redistest.Server)
		want string
	}{
		{redistest.Options{Fsync: redistest.Always}, (*redistest.Server).Kill, "v"},
		{redistest.Options{Fsync: redistest.EverySecond, Unix: true}, (*redistest.Server).Kill, "v"},
		{redistest.Options{Fsync: redistest.EverySecond}, (*redistest.Server).Stop, "v"},
		{redistest.Options{}, (*redistest.Server).Stop, "$-1"},
	} {
		t.Run(fmt.Sprintf("%+v", c.o), func(t *testing.T) {
			t.Parallel()

			s := redistest.Run(t, c.o)
			before := s.URL()

			if got := command(t, s, "SET k v"); got != "+OK" {
				t.Fatalf("SET: %s", got)
			}

			c.end(s)

			if conn, err := dial(t, s); err == nil {
				_ = conn.Close()
				t.Error("something listens at the address of a server that was ended")
			}

			s.Start()

			if got := command(t, s, "GET k"); got != c.want || s.URL() != before {
				t.Errorf("after the end: %q at %s; want %q at %s", got, s.URL(), c.want, before)
			}
		})
	}
}

func TestOptionsTakeEffect(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		o          redistest.Options
		line, want string
	}{
		"password":    {redistest.Options{Password: `s3"c ret\`}, "PING", "-NOAUTH Authentication required."},
		"TLS":         {redistest.Options{TLS: true}, "PING", "+PONG"},
		"memory":      {redistest.Options{MaxMemory: "1"}, "SET k v", "-OOM command not allowed when used memory > 'maxmemory'."},
		"line":        {redistest.Options{Lines: []string{"databases 3"}}, "SELECT 3", "-ERR DB index is out of range"},
		"unix socket": {redistest.Options{Unix: true, Password: "p"}, "AUTH p", "+OK"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := command(t, redistest.Run(t, c.o), c.line); got != c.want {
				t.Errorf("%s: %q, want %q", c.line, got, c.want)
			}
		})
	}
}

func TestAReplicaRefusesWrites(t *testing.T) {
	t.Parallel()

	first := redistest.Run(t, redistest.Options{})

	if got := command(t, redistest.Run(t, redistest.Options{ReplicaOf: first}), "SET k v"); !strings.HasPrefix(got, "-READONLY") {
		t.Errorf("write to a replica: %s", got)
	}
}

func TestAPausedServerGoesOn(t *testing.T) {
	t.Parallel()

	s := redistest.Run(t, redistest.Options{})
	s.Pause()
	s.Resume()

	if got := command(t, s, "PING"); got != "+PONG" {
		t.Errorf("PING: %s", got)
	}
}
