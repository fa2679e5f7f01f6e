package redisbus

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

// dialError opens a bus that can't be opened.
func dialError(t *testing.T, cfg Config) *bus.DialError {
	t.Helper()
	b, err := Open(t.Context(), cfg)
	if err == nil {
		_ = b.Close(t.Context())
		t.Fatalf("opened %s", cfg.URL)
	}
	de, ok := errors.AsType[*bus.DialError](err)
	if !ok {
		t.Fatalf("error is %v", err)
	}

	return de
}

func TestOpenSaysWhyItCannot(t *testing.T) {
	t.Parallel()
	secured := redistest.Run(t, redistest.Options{Password: "secret"})
	evicting := redistest.Run(t, redistest.Options{MaxMemory: "64mb", Lines: []string{"maxmemory-policy allkeys-lru"}})
	encrypted := redistest.Run(t, redistest.Options{TLS: true})
	for name, tc := range map[string]struct {
		cfg       Config
		url, hint string
	}{
		"nobody there":    {Config{URL: "redis://127.0.0.1:1"}, "redis://127.0.0.1:1", "redis-server"},
		"no socket":       {Config{URL: "unix:///nowhere/s"}, "unix:///nowhere/s", "redis-server"},
		"no sentinel":     {Config{URL: "redis+sentinel://:p@127.0.0.1:1/m"}, "redis+sentinel://127.0.0.1:1/m", "sentinels"},
		"no cluster":      {Config{URL: "redis://127.0.0.1:1,127.0.0.1:2"}, "redis://127.0.0.1:1,127.0.0.1:2", "redis-server"},
		"unknown scheme":  {Config{URL: "http://u:secret@127.0.0.1"}, "http://127.0.0.1", "redis://127.0.0.1:6379"},
		"odd password":    {Config{URL: "redis://u:50%secret@127.0.0.1"}, "redis://127.0.0.1", "%25"},
		"no password":     {Config{URL: "redis://" + secured.Addr()}, "redis://" + secured.Addr(), "password"},
		"wrong password":  {Config{URL: "redis://:wrong@" + secured.Addr()}, "redis://" + secured.Addr(), "password"},
		"old server":      {Config{URL: "redis://" + oldServer(t)}, "", "6.2"},
		"evicts":          {Config{URL: evicting.URL()}, evicting.URL(), "noeviction"},
		"wrong authority": {Config{URL: encrypted.URL()}, encrypted.URL(), "authority"},
		"TLS unasked for": {Config{CA: encrypted.TLS().CA}, "redis://127.0.0.1:6379", "rediss://"},
		"no CA file":      {Config{URL: "rediss://127.0.0.1", CA: "/nowhere"}, "rediss://127.0.0.1", "path"},
		"no CA in file":   {Config{URL: "rediss://127.0.0.1", CA: encrypted.TLS().Key}, "rediss://127.0.0.1", "file"},
	} {
		if tc.cfg.URL == "" {
			tc.cfg.URL = "redis://127.0.0.1:6379"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := dialError(t, tc.cfg)
			if tc.url != "" && err.URL != tc.url {
				t.Errorf("URL is %s, want %s", err.URL, tc.url)
			}
			if !strings.Contains(err.Hint, tc.hint) {
				t.Errorf("hint of %v lacks %q", err, tc.hint)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "wrong") && strings.Contains(err.URL, "@") {
				t.Errorf("error tells a password: %v", err)
			}
		})
	}
}

// oldServer answers like Redis 5.
func oldServer(t *testing.T) string {
	t.Helper()
	l := must(new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0"))(t)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { answer(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})

	return l.Addr().String()
}

func answer(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	info := "# Server\r\nredis_version:5.0.14\r\nredis_mode:standalone\r\n"
	for in := bufio.NewScanner(conn); in.Scan(); {
		reply := ""
		switch strings.ToLower(in.Text()) {
		case "hello":
			reply = "-ERR unknown command `HELLO`\r\n"
		case "info":
			reply = fmt.Sprintf("$%d\r\n%s\r\n", len(info), info)
		case "setname", "appendfsync":
			reply = "+OK\r\n"
		}
		if _, err := conn.Write([]byte(reply)); err != nil {
			return
		}
	}
}

func TestOpenForms(t *testing.T) {
	t.Parallel()
	encrypted := redistest.Run(t, redistest.Options{TLS: true, Lines: []string{"tls-auth-clients yes"}})
	files := encrypted.TLS()
	socket := redistest.Run(t, redistest.Options{Unix: true, Password: "p@ss/wörd"})
	plain := redistest.Run(t, redistest.Options{Password: "secret"})
	for name, cfg := range map[string]Config{
		"TLS with a client certificate": {URL: encrypted.URL(), CA: files.CA, Cert: files.Cert, Key: files.Key},
		"unix socket":                   {URL: socket.URL()},
		"password of its own":           {URL: "redis://:wrong@" + plain.Addr(), Password: "secret"},
		"user":                          {URL: "redis://default:secret@" + plain.Addr()},
		"database":                      {URL: plain.URL() + "/3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, cfg)
			last := fill(t, b, bus.StreamID{Session: named(), Stream: "s"}, 3)
			wantRead(t, b, last, []int{0, 1, 2})
			if info := b.Info(); info.Kind != "redis" || strings.Contains(info.URL, "@") {
				t.Errorf("%+v", info)
			}
		})
	}
	if de := dialError(t, Config{URL: encrypted.URL(), CA: files.CA}); !strings.Contains(de.Hint, "REDIS_CERT") {
		t.Errorf("without a client certificate: %v", de)
	}
}

// TestOpenWaitsForASlowServer pauses a server for longer than one question to it may take.
func TestOpenWaitsForASlowServer(t *testing.T) {
	t.Parallel()
	s := redistest.Run(t, redistest.Options{})
	s.Pause()
	opened := make(chan error, 1)
	go func() {
		b, err := Open(t.Context(), Config{URL: s.URL(), DialTimeout: patience})
		if err == nil {
			err = b.Close(t.Context())
		}
		opened <- err
	}()
	<-time.After(callTimeout + callTimeout/2)
	s.Resume()
	if err := <-opened; err != nil {
		t.Errorf("open beside a server that was paused: %v", err)
	}
}

func TestDurability(t *testing.T) {
	t.Parallel()
	for fsync, want := range map[string]bus.Durability{
		"": bus.Memory, "appendfsync always": bus.LocalSynced, "appendfsync everysec": bus.Local, "appendfsync no": bus.Local,
	} {
		o := redistest.Options{Fsync: redistest.EverySecond, Lines: []string{fsync}}
		if fsync == "" {
			o = redistest.Options{}
		}
		var log bytes.Buffer
		b := open(t, Config{URL: redistest.Run(t, o).URL(), Logger: zerolog.New(&log)})
		if got := b.Info().Durability; got != want {
			t.Errorf("%q: durability is %s, want %s", fsync, got, want)
		}
		if warned := strings.Contains(log.String(), "LOST"); warned != (want == bus.Memory) {
			t.Errorf("%q: logged %s", fsync, log.String())
		}
	}
}

// TestDurabilityOfAServerThatReadsItsFile kills a server and lets it take seconds to read its file: meanwhile it says
// that it has none, which is not so.
func TestDurabilityOfAServerThatReadsItsFile(t *testing.T) {
	t.Parallel()
	const entries = 1000
	s := redistest.Run(t, redistest.Options{Fsync: redistest.EverySecond, Lines: []string{
		"key-load-delay 300", // µs for each command; every 1024 commands the server answers
	}})
	var log bytes.Buffer
	b := open(t, Config{URL: s.URL(), Logger: zerolog.New(zerolog.SyncWriter(&log))})
	fill(t, b, testID(1), entries)
	s.Kill()
	s.Start()
	other := open(t, Config{URL: s.URL()})
	for _, b := range []*Bus{b, other} {
		if got := b.Info().Durability; got != bus.Local {
			t.Errorf("durability is %s", got)
		}
	}
	if err := b.Close(t.Context()); err != nil { // nothing is logged any more
		t.Fatal(err)
	}
	if strings.Contains(log.String(), "LOST") {
		t.Errorf("logged %s", log.String())
	}
}

// A user who may not read the configuration is told of the weaker class.
func TestDurabilityWithoutTheRightToAsk(t *testing.T) {
	t.Parallel()
	s := redistest.Run(t, redistest.Options{Fsync: redistest.Always, Lines: []string{
		"user app on >p ~ww:* &ww:* +@all -@admin -@dangerous +info",
	}})
	b := open(t, Config{URL: "redis://app:p@" + s.Addr()})
	if got := b.Info().Durability; got != bus.Local {
		t.Errorf("durability is %s", got)
	}
	fill(t, b, testID(1), 2)
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	_, err := Open(t.Context(), Config{App: "No App", MaxAge: 1, Cert: "c", User: "u", Name: "a b"})
	wantErr(t, "open", err, bus.ErrInvalid)
	for _, field := range []string{"application", "MaxAge", "Cert", "User", "Name"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%v does not speak of %s", err, field)
		}
	}
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]target{
		"redis://h":                        {addrs: []string{"h:6379"}},
		"redis://h:1/2":                    {addrs: []string{"h:1"}, db: 2},
		"rediss://u:p%2F@[::1]:7":          {addrs: []string{"[::1]:7"}, tls: true, user: "u", password: "p/"},
		"redis://:p@@h":                    {addrs: []string{"h:6379"}, password: "p@"},
		"redis://a:1,b,c:3":                {addrs: []string{"a:1", "b:6379", "c:3"}},
		"redis+sentinel://:p@a,b:2/main/4": {addrs: []string{"a:26379", "b:2"}, master: "main", db: 4, password: "p"},
		"rediss+sentinel://a/main":         {addrs: []string{"a:26379"}, master: "main", tls: true},
		"unix://u:p@/tmp/s?db=2":           {addrs: []string{"/tmp/s"}, unix: true, db: 2, user: "u", password: "p"},
	} {
		if got, err := parseURL(s); fmt.Sprint(got) != fmt.Sprint(want) || err != nil {
			t.Errorf("%s is %+v, %v; want %+v", s, got, err, want)
		}
	}
	for _, s := range []string{
		"", "redis", "h:6379", "redis://", "redis://h:x", "redis://h:70000", "redis://h/x", "redis://a,b/1", "redis://user@h",
		"redis://h?db=1", "redis+sentinel://a", "unix://s", "unix:///s?x=1", "unix:///s?db=x", "redis://u:%zz@h", "nats://h",
	} {
		if got, err := parseURL(s); !errors.Is(err, bus.ErrInvalid) || !errors.Is(err, errURL) {
			t.Errorf("%q is %+v, %v", s, got, err)
		}
	}
}
