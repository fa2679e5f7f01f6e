package redistest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/woodwork-go/woodwork/internal/redisproc"
)

// The values of Options.Fsync.
const (
	NoLog       = redisproc.NoLog
	EverySecond = redisproc.EverySecond
	Always      = redisproc.Always
)

// Options says how a server runs. The zero value is a server on a free port that keeps everything in memory.
type Options struct {
	// Fsync is when the server writes its log to the disk: NoLog, EverySecond or Always. Defaults to NoLog.
	Fsync redisproc.Fsync
	// MaxMemory is the size in Redis's own words, such as "64mb", over which writes are refused. Defaults to no bound.
	MaxMemory string
	// Password that clients must give; the URL has it. Defaults to none.
	Password string
	// TLS makes the server speak TLS only, with certificates made for it; see Server.TLS. Clients need none of their own
	// unless Lines has "tls-auth-clients yes".
	TLS bool
	// Unix makes the server listen on a socket in the file system instead of a port.
	Unix bool
	// ReplicaOf is the server whose copy this one is. Defaults to none.
	ReplicaOf *Server
	// Lines are directives for the end of redis.conf. Defaults to none.
	Lines []string
}

// Server is a redis-server process. A call that does not succeed ends the test, so they are for the test's goroutine;
// they must not be called concurrently, except for URL and Addr.
type Server struct {
	t      testing.TB
	server *redisproc.Server
	tls    redisproc.TLS
}

// Run starts a server and returns when it answers.
func Run(t testing.TB, o Options) *Server {
	t.Helper()

	s := &Server{t: t}
	cfg := redisproc.Config{
		Dir: t.TempDir(), Fsync: o.Fsync, MaxMemory: o.MaxMemory, Password: o.Password, Lines: o.Lines,
	}

	if o.TLS {
		s.tls = certificates(t)
		cfg.TLS = s.tls
	}

	if o.Unix {
		cfg.Socket = socket(t)
	}

	if o.ReplicaOf != nil {
		cfg.ReplicaOf = o.ReplicaOf.Addr()
	}

	server, err := redisproc.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}

	s.server = server
	t.Cleanup(server.Kill)

	return s
}

// socket returns a path that is short enough for every system, which those below a test's own directory are not.
func socket(t testing.TB) string {
	t.Helper()

	dir, err := os.MkdirTemp("", "redis") //nolint:usetesting // its paths are too long for a socket
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})

	return filepath.Join(dir, "s")
}

// URL returns where clients find the server, with its password: redis://, rediss:// or unix://.
func (s *Server) URL() string { return s.server.URL() }

// Addr returns host and port, or the path of the socket.
func (s *Server) Addr() string { return s.server.Addr() }

// TLS returns the paths of the PEM files of a server with Options.TLS. Its certificate also serves as a client's.
func (s *Server) TLS() redisproc.TLS { return s.tls }

// Kill ends the server at once, as a crash does.
func (s *Server) Kill() { s.server.Kill() }

// Stop lets the server finish its log and end.
func (s *Server) Stop() {
	s.t.Helper()

	if err := s.server.Stop(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// Start starts a server that was ended again, on the same address and data, and returns when it answers.
func (s *Server) Start() {
	s.t.Helper()

	if err := s.server.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// Pause stops the server's execution until Resume; its clients wait without being told anything.
func (s *Server) Pause() { s.server.Pause() }

// Resume lets a paused server go on.
func (s *Server) Resume() { s.server.Resume() }
