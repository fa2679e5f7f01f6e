package embedded_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/embedded"
	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
)

func testContext() context.Context { return context.Background() }

func start(t *testing.T, cfg embedded.Config) *embedded.Server {
	t.Helper()

	s, err := embedded.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})

	return s
}

// client is a connection that the test closes.
type client struct {
	jetstream.JetStream
}

// connect returns a client of s, in process when s has no listener.
func connect(t *testing.T, s *embedded.Server) client {
	t.Helper()

	var opts []nats.Option
	if s.URL() == "" {
		opts = append(opts, nats.InProcessServer(s))
	}

	return dial(t, s.URL(), opts...)
}

func dial(t *testing.T, urls string, opts ...nats.Option) client {
	t.Helper()

	nc, err := nats.Connect(urls, opts...)
	if err != nil {
		t.Fatal(err)
	}

	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}

	c := client{js}
	t.Cleanup(c.close)

	return c
}

// close waits until the client's goroutines are done.
func (c client) close() {
	done := make(chan struct{})
	c.Conn().SetClosedHandler(func(*nats.Conn) { close(done) })

	if c.Conn().IsClosed() {
		return
	}

	c.Conn().Close()
	<-done
}

// elected bounds what waits for the leader of a new JetStream stream: on a busy machine its nodes vote twice, with up to
// nine seconds between.
const elected = 30 * time.Second

// store publishes text into a JetStream stream that it makes when it isn't there.
func store(t *testing.T, js client, replicas int, text string) {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), elected)
	defer cancel()

	cfg := jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Replicas: replicas}
	if _, err := js.CreateOrUpdateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}

	if _, err := js.Publish(t.Context(), "s", []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// stored returns the last text that was published.
func stored(t *testing.T, js client) string {
	t.Helper()

	s, err := js.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}

	m, err := s.GetLastMsgForSubject(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}

	return string(m.Data)
}

func TestServerStoresMessages(t *testing.T) {
	t.Parallel()

	servers := map[string]func(testing.TB) *embedded.Server{
		"over TCP":   embeddedtest.Run,
		"in process": embeddedtest.RunInProcess,
	}
	for name, run := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			js := connect(t, run(t))
			store(t, js, 1, "hello")

			if got := stored(t, js); got != "hello" {
				t.Errorf("stored %q, want hello", got)
			}
		})
	}
}

func TestURL(t *testing.T) {
	t.Parallel()

	if got := embeddedtest.RunInProcess(t).URL(); got != "" {
		t.Errorf("URL without a listener is %q, want none", got)
	}

	for _, listen := range []string{"127.0.0.1:0", "127.0.0.1:-1", ":0"} {
		s := start(t, embedded.Config{Listen: listen})
		if !strings.HasPrefix(s.URL(), "nats://127.0.0.1:") {
			t.Errorf("URL of a server on %s is %q", listen, s.URL())
		}

		connect(t, s)
	}
}

func TestDataSurvivesRestart(t *testing.T) {
	t.Parallel()

	for _, sync := range []bool{false, true} {
		cfg := embedded.Config{Dir: filepath.Join(t.TempDir(), "new", "data"), SyncAlways: sync}

		first := start(t, cfg)
		store(t, connect(t, first), 1, "kept")

		if err := first.Close(); err != nil {
			t.Fatal(err)
		}

		if got := stored(t, connect(t, start(t, cfg))); got != "kept" {
			t.Errorf("after a restart %q is stored, want kept (sync always: %v)", got, sync)
		}
	}
}

func TestTemporaryDirIsRemoved(t *testing.T) {
	t.Parallel()

	s := start(t, embedded.Config{})
	store(t, connect(t, s), 1, "gone")

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	if _, err := os.Stat(s.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("temporary directory after Close: %v, want that it does not exist", err)
	}
}

func TestMaxPayload(t *testing.T) {
	t.Parallel()

	for limit, want := range map[int]int64{0: 1 << 20, 2 << 20: 2 << 20} {
		nc := connect(t, start(t, embedded.Config{MaxPayload: limit})).Conn()
		if got := nc.MaxPayload(); got != want {
			t.Errorf("MaxPayload %d allows %d bytes, want %d", limit, got, want)
		}
	}
}

func TestCloseIsIdempotentAndEndsTheServer(t *testing.T) {
	t.Parallel()

	s := start(t, embedded.Config{Listen: "127.0.0.1:0"})
	url := s.URL()

	errs := make(chan error, 4)
	for range cap(errs) {
		go func() { errs <- s.Close() }()
	}

	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}

	if _, err := s.InProcessConn(); !errors.Is(err, embedded.ErrClosed) {
		t.Errorf("connect after Close: %v, want ErrClosed", err)
	}

	if nc, err := nats.Connect(url); err == nil {
		nc.Close()
		t.Error("the server still accepts connections after Close")
	}

	var none *embedded.Server
	if err := none.Close(); err != nil {
		t.Error(err)
	}
}

func TestCloseCutsOffClients(t *testing.T) {
	t.Parallel()

	s := start(t, embedded.Config{})
	closed := make(chan struct{})

	nc, err := nats.Connect("", nats.InProcessServer(s), nats.NoReconnect(),
		nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	<-closed
}

func TestPortTaken(t *testing.T) {
	t.Parallel()

	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	dir := t.TempDir()
	wantStartError(t, embedded.Config{Dir: dir, Listen: l.Addr().String()}, embedded.ErrPortTaken, l.Addr().String())
	start(t, embedded.Config{Dir: dir}) // the failed start left the directory free
}

func TestBadListen(t *testing.T) {
	t.Parallel()

	for _, listen := range []string{"4222", "127.0.0.1:http", "127.0.0.1:70000", "127.0.0.1:-2", "192.0.2.1:4222"} {
		wantStartError(t, embedded.Config{Listen: listen}, nil, listen)
	}
}

func TestDirNotWritable(t *testing.T) {
	t.Parallel()

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}

	blocked := t.TempDir() // a directory in the place of the lock file stops root, too
	if err := os.Mkdir(filepath.Join(blocked, "woodwork.lock"), 0o700); err != nil {
		t.Fatal(err)
	}

	for _, dir := range []string{file, filepath.Join(file, "below"), blocked} {
		wantStartError(t, embedded.Config{Dir: dir}, embedded.ErrDirNotWritable, dir)
	}
}

func TestDirInUse(t *testing.T) {
	t.Parallel()

	s := embeddedtest.RunInProcess(t)
	wantStartError(t, embedded.Config{Dir: s.Dir()}, embedded.ErrDirInUse, s.Dir())
	wantStartError(t, embedded.Config{Dir: s.Dir()}, embedded.ErrDirInUse, "process "+strconv.Itoa(os.Getpid()))

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	start(t, embedded.Config{Dir: s.Dir()})
}

func TestDirInUseByAnotherProcess(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), holdDir+"="+dir)

	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}

	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	if line, err := bufio.NewReader(out).ReadString('\n'); line != "holding\n" {
		t.Fatalf("other process: %q, %v", line, err)
	}

	wantStartError(t, embedded.Config{Dir: dir}, embedded.ErrDirInUse, "process "+strconv.Itoa(cmd.Process.Pid))

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}

	if err := cmd.Wait(); err == nil {
		t.Error("the killed process says that it succeeded")
	}

	start(t, embedded.Config{Dir: dir}) // the lock ended with its process
}

// wantStartError checks that a start fails with the kind (nil: none of the kinds) and a message that has the text and
// a hint.
func wantStartError(t *testing.T, cfg embedded.Config, kind error, text string) {
	t.Helper()

	s, err := embedded.Start(t.Context(), cfg)
	if err == nil {
		t.Fatalf("started on %+v, want an error", cfg.Dir+cfg.Listen)
	}

	if s != nil {
		t.Error("Start returned a server with the error")
	}

	var start *embedded.StartError
	if !errors.As(err, &start) {
		t.Fatalf("error is %T, want *StartError: %v", err, err)
	}

	if diff := cmp.Diff(kind, start.Kind, cmp.Comparer(errors.Is)); diff != "" {
		t.Errorf("kind of %v (-want +got):\n%s", err, diff)
	}

	if msg := err.Error(); !strings.Contains(msg, text) || start.Hint == "" || strings.Contains(msg, "\n") {
		t.Errorf("message %q: want one line with %q and a hint", msg, text)
	}
}

func TestCancelledContext(t *testing.T) {
	t.Parallel()

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	dir := filepath.Join(t.TempDir(), "data")
	if _, err := embedded.Start(ctx, embedded.Config{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("start: %v, want context.Canceled", err)
	}

	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory after a cancelled start: %v, want that it does not exist", err)
	}
}

func TestLogger(t *testing.T) {
	t.Parallel()

	var log bytes.Buffer

	s := start(t, embedded.Config{Logger: zerolog.New(&log)})
	if err := s.Close(); err != nil { // after it nothing logs
		t.Fatal(err)
	}

	if text := log.String(); !strings.Contains(text, "Server is ready") || !strings.Contains(text, `"level":"debug"`) {
		t.Errorf("the server's notices are not in the log: %s", text)
	}
}

func TestTwoHundredStartsAndStops(t *testing.T) { //nolint:paralleltest // it looks at all goroutines of the process
	dir := t.TempDir()
	begin := time.Now()

	for i := range 200 {
		cfg := embedded.Config{Dir: dir}
		if i%2 == 1 {
			cfg.Listen = "127.0.0.1:0"
		}

		s, err := embedded.Start(t.Context(), cfg)
		if err != nil {
			t.Fatalf("start %d: %v", i, err)
		}

		if i%20 == 0 {
			js := connect(t, s)
			store(t, js, 1, "again")
			js.close()
		}

		if err := s.Close(); err != nil {
			t.Fatalf("close %d: %v", i, err)
		}
	}

	t.Logf("200 cycles took %v", time.Since(begin).Round(time.Millisecond))
	goleak.VerifyNone(t)
}
