package natsbus

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

const (
	users = "authorization { users: [ {user: ann, password: s3cret}, {user: bob, password: s3cretbob} ] }\n"
	token = "authorization { token: s3cret }\n"
)

// inHour is until when certificates and users of these tests are valid.
func inHour() time.Time { return time.Now().Add(time.Hour) }

// works opens a bus and has it store and read.
func works(t *testing.T, cfg Config) *Bus {
	t.Helper()
	b := open(t, cfg)
	last := fill(t, b, bus.StreamID{Session: rand.Text(), Stream: "out"}, 2)
	if got := read(t, b, last, bus.Cursor{}); len(got) != 2 {
		t.Errorf("read %v", got)
	}
	if strings.Contains(b.Info().URL, "s3cret") || strings.Contains(b.Info().URL, "@") {
		t.Errorf("info holds a secret: %s", b.Info().URL)
	}

	return b
}

// with puts credentials into a URL.
func with(url, credentials string) string {
	return strings.Replace(url, "nats://", "nats://"+credentials+"@", 1)
}

// swapScheme returns the URL with another scheme.
func swapScheme(url, scheme string) string { return scheme + strings.TrimPrefix(url, "nats") }

func TestTLS(t *testing.T) {
	t.Parallel()
	ca, stranger := newAuthority(t), newAuthority(t)
	url := serve(t, ca.tlsConf(t, "127.0.0.1", inHour(), "")+users)
	works(t, Config{URL: url, CA: ca.file, User: "ann", Password: "s3cret"})
	works(t, Config{URL: swapScheme(url, "tls"), CA: ca.file, User: "ann", Password: "s3cret"})
	wantDialError(t, Config{URL: url, CA: ca.file, User: "ann", Password: "s3cretwrong"}, "Authorization", "check the user")
	wantDialError(t, Config{URL: url, CA: stranger.file, User: "ann", Password: "s3cret"}, "unknown authority", "NATS_CA")
	wantDialError(t, Config{URL: url, User: "ann", Password: "s3cret"}, "unknown authority", "NATS_CA")
	wantDialError(t, Config{URL: url, CA: writeFile(t, "junk.pem", "s3cret")}, "junk.pem", "check what the file holds")
	wantDialError(t, Config{URL: serve(t, users), CA: ca.file, User: "ann", Password: "s3cret"}, "secure", "without a CA")

	expired := serve(t, ca.tlsConf(t, "127.0.0.1", time.Now().Add(-time.Hour), ""))
	wantDialError(t, Config{URL: expired, CA: ca.file}, "expired", "valid today")
	other := serve(t, ca.tlsConf(t, "nats.example", inHour(), ""))
	wantDialError(t, Config{URL: other, CA: ca.file}, "certificate", "use a host name")
}

func TestMutualTLS(t *testing.T) {
	t.Parallel()
	ca, stranger := newAuthority(t), newAuthority(t)
	url := serve(t, ca.tlsConf(t, "127.0.0.1", inHour(), "verify: true"))
	cert, key := ca.issue(t, "client", inHour())
	works(t, Config{URL: url, CA: ca.file, Cert: cert, Key: key})
	wantDialError(t, Config{URL: url, CA: ca.file}, "NATS_CERT")
	oldCert, oldKey := ca.issue(t, "client", time.Now().Add(-time.Hour))
	wantDialError(t, Config{URL: url, CA: ca.file, Cert: oldCert, Key: oldKey}, "NATS_CERT")
	badCert, badKey := stranger.issue(t, "client", inHour())
	wantDialError(t, Config{URL: url, CA: ca.file, Cert: badCert, Key: badKey}, "NATS_CERT")
	wantDialError(t, Config{URL: url, CA: ca.file, Cert: cert, Key: badKey}, cert, "check what the file holds")
	wantDialError(t, Config{URL: url, CA: ca.file, Cert: cert, Key: "/nowhere.key"}, "/nowhere.key", "check the path")
}

func TestTLSFirst(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	url := serve(t, ca.tlsConf(t, "127.0.0.1", inHour(), "handshake_first: true"))
	works(t, Config{Context: contextFile(t, map[string]any{"url": url, "ca": ca.file, "tls_first": true})})
}

func TestUserAndPassword(t *testing.T) {
	t.Parallel()
	url := serve(t, users)
	works(t, Config{URL: url, User: "ann", Password: "s3cret"})
	works(t, Config{URL: with(url, "ann:s3cret")})
	works(t, Config{URL: with(url, "ann:s3cretwrong"), User: "ann", Password: "s3cret"})
	wantDialError(t, Config{URL: url, User: "ann", Password: "s3cretwrong"}, "check the user")
	wantDialError(t, Config{URL: with(url, "ann:s3cretwrong")}, "check the user")
	wantDialError(t, Config{URL: url}, "check the user")
	for _, broken := range []string{"ann:1/s3cret", "ann:s3cret%zz", "ann:1#s3cret"} {
		wantDialError(t, Config{URL: with(url, broken)})
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	url := serve(t, token)
	works(t, Config{URL: url, Token: "s3cret"})
	works(t, Config{URL: with(url, "s3cret")})
	wantDialError(t, Config{URL: url, Token: "s3cretwrong"}, "token")
	wantDialError(t, Config{URL: with(url, "s3cretwrong")}, "token")
}

func TestNKey(t *testing.T) {
	t.Parallel()
	public, file := newUserKey(t)
	_, stranger := newUserKey(t)
	url := serve(t, "authorization { users: [ {nkey: "+public+"} ] }")
	works(t, Config{URL: url, NKey: file})
	wantDialError(t, Config{URL: url, NKey: stranger}, "nkey")
	wantDialError(t, Config{URL: url, NKey: writeFile(t, "junk.nk", "s3cret")}, "junk.nk", "check what the file holds")
	wantDialError(t, Config{URL: serve(t, users), NKey: file}, "check the user")
}

func TestCreds(t *testing.T) {
	t.Parallel()
	op := newOperator(t, -1)
	url := serve(t, op.conf)
	works(t, Config{URL: url, Creds: op.user(t, inHour())})
	wantDialError(t, Config{URL: url, Creds: op.user(t, time.Now().Add(-time.Hour))}, "credentials file")
	wantDialError(t, Config{URL: url, Creds: newOperator(t, -1).user(t, inHour())}, "credentials file")
	wantDialError(t, Config{URL: url, Creds: writeFile(t, "junk.creds", "s3cret")}, "junk.creds", "check what the file holds")
	wantDialError(t, Config{URL: url, Creds: "/nowhere.creds"}, "/nowhere.creds", "check the path")
	without := newOperator(t, 0)
	wantDialError(t, Config{URL: serve(t, without.conf), Creds: without.user(t, inHour())},
		"not enabled for account", "enable JetStream")
}

func TestJetStreamIsDisabled(t *testing.T) {
	t.Parallel()
	wantDialError(t, Config{URL: serve(t, "jetstream: disabled")}, "not enabled", "nats-server -js")
	accounts := "jetstream {}\naccounts { A { users: [ {user: ann, password: s3cret} ] } }"
	wantDialError(t, Config{URL: serve(t, accounts), User: "ann", Password: "s3cret"}, "not enabled for account", "enable JetStream")
}

// shopPermissions lets a user work on one application.
func shopPermissions(t *testing.T) string {
	t.Helper()

	return fmt.Sprintf(`authorization { users: [ { user: ann, password: s3cret, permissions: {
		publish: [ %[1]q, "$JS.API.>", "$JS.ACK.>", "$KV.>", "_INBOX_shop.>" ]
		subscribe: [ %[1]q, "$KV.>", "_INBOX_shop.>" ] } } ] }`, must(subjects.New("shop", 0))(t).Wildcard())
}

func TestPermissionsOfOneApplication(t *testing.T) {
	t.Parallel()
	url := serve(t, shopPermissions(t))
	cfg := Config{URL: url, User: "ann", Password: "s3cret", App: "shop", Name: "shop", AppendTimeout: patience}
	works(t, cfg)
	b := open(t, cfg)
	done := make(chan string, 1)
	work(t, b, bus.WorkConfig{}, each(t, func(l *bus.Letter) { done <- l.ID }))
	post(t, b, "s", 0, 1)
	receive(t, "letter", done)
	fill(t, b, testID(2), 1)
	stop := must(b.Listen(t.Context(), testID(1), func(data []byte) { done <- string(data) }))(t)
	defer stop()
	must(b.nc.RTT())(t)
	if err := b.Signal(t.Context(), testID(1), []byte("hint")); err != nil {
		t.Error(err)
	}
	receive(t, "signal", done)
	if err := b.refused.Load(); err != nil {
		t.Errorf("the server refused: %v", *err)
	}
	cfg.App = "bank"
	other := open(t, cfg)
	begun := time.Now()
	_, err := other.Append(t.Context(), frame(testID(1), 0, "x"), nil)
	subject := must(other.ns.Log("s1", "out"))(t)
	if err == nil || !strings.Contains(err.Error(), subject) || errors.Is(err, bus.ErrUnknown) {
		t.Errorf("append to another application: %v, want one that names %s", err, subject)
	}
	if took := time.Since(begun); took > patience/2 {
		t.Errorf("it took %v", took)
	}
}

// TestPermissionsThatOpenNeeds takes away what opening a bus needs, one by one.
func TestPermissionsThatOpenNeeds(t *testing.T) {
	t.Parallel()
	ours := must(subjects.New("", 0))(t)
	all, turns := strconv.Quote(ours.Wildcard()), ours.TurnsStream()
	for name, c := range map[string]struct{ permissions, subject string }{
		"API":     {"publish: [" + all + "]", "$JS.API.INFO"},
		"streams": {`publish: ["$JS.API.INFO", "$JS.API.STREAM.NAMES"]`, "$JS.API.STREAM.INFO." + turns},
		"create":  {`publish: {deny: "$JS.API.STREAM.CREATE.>"}`, "$JS.API.STREAM.CREATE." + turns},
		"inbox":   {"subscribe: [" + all + "]", "_INBOX_woodwork."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, "authorization { users: [ {user: ann, password: s3cret, permissions: { "+c.permissions+" } } ] }")
			begun := time.Now()
			wantDialError(t, Config{URL: url, User: "ann", Password: "s3cret", DialTimeout: 2 * time.Second}, c.subject, "grant this user")
			if took := time.Since(begun); took > patience/2 {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// contextFile writes a NATS context and returns its path.
func contextFile(t *testing.T, keys map[string]any) string {
	t.Helper()

	return writeFile(t, "ctx.json", string(must(json.Marshal(keys))(t)))
}

func TestContextKeys(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert, key := ca.issue(t, "client", inHour())
	public, nkey := newUserKey(t)
	op := newOperator(t, -1)
	domain := serve(t, "jetstream { domain: hub }")
	for name, keys := range map[string]map[string]any{
		"user":   {"url": serve(t, users), "user": "ann", "password": "s3cret"},
		"token":  {"url": serve(t, token), "token": "s3cret"},
		"url":    {"url": with(serve(t, token), "s3cret")},
		"nkey":   {"url": serve(t, "authorization { users: [ {nkey: "+public+"} ] }"), "nkey": nkey},
		"creds":  {"url": serve(t, op.conf), "creds": op.user(t, inHour())},
		"domain": {"url": domain, "jetstream_domain": "hub"},
		"prefix": {"url": domain, "jetstream_api_prefix": "$JS.hub.API"},
		"inbox":  {"url": serve(t, ""), "inbox_prefix": "_INBOX_own"},
		"tls": {
			"url": serve(t, ca.tlsConf(t, "127.0.0.1", inHour(), "verify: true")), "ca": ca.file, "cert": cert, "key": key,
			"description": "unused", "color_scheme": "unused",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			works(t, Config{Context: contextFile(t, keys)})
		})
	}
}

func TestMistakesInAContext(t *testing.T) {
	t.Parallel()
	url := serve(t, users)
	for name, c := range map[string]struct {
		keys map[string]any
		says string
	}{
		"password": {map[string]any{"url": url, "user": "ann", "password": "s3cretwrong"}, "check the user"},
		"creds":    {map[string]any{"url": url, "creds": "/nowhere.creds"}, "/nowhere.creds"},
		"nkey":     {map[string]any{"url": url, "nkey": "/nowhere.nk"}, "/nowhere.nk"},
		"ca":       {map[string]any{"url": url, "ca": "/nowhere.pem"}, "/nowhere.pem"},
		"cert":     {map[string]any{"url": url, "cert": "/nowhere.pem", "key": "/nowhere.key"}, "/nowhere"},
		"url":      {map[string]any{"url": "nats://ann:s3cret/x@127.0.0.1"}, "malformed URL"},
		"type":     {map[string]any{"url": url, "password": 1}, "password"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantDialError(t, Config{Context: contextFile(t, c.keys)}, "ctx.json", c.says)
		})
	}
	wantDialError(t, Config{Context: "no-such-context"}, "no-such-context", "nats context ls")
}

// TestTheConfigComesBeforeTheContext has contexts that are wrong in one way, which the configuration sets right.
func TestTheConfigComesBeforeTheContext(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert, key := ca.issue(t, "client", inHour())
	badCert, badKey := newAuthority(t).issue(t, "client", inHour())
	public, nkey := newUserKey(t)
	_, strangeKey := newUserKey(t)
	op := newOperator(t, -1)
	strange := newOperator(t, -1).user(t, inHour())
	byUser, byToken := serve(t, users), serve(t, token)
	byKey := serve(t, "authorization { users: [ {nkey: "+public+"} ] }")
	byCreds, byTLS := serve(t, op.conf), serve(t, ca.tlsConf(t, "127.0.0.1", inHour(), "verify: true"))
	mixed := serve(t, "authorization { users: [ {nkey: "+public+"}, {user: ann, password: s3cret} ] }")
	userURL := with(byUser, "ann:s3cret")
	creds := op.user(t, inHour())
	ann := Config{User: "ann", Password: "s3cret"}
	for name, c := range map[string]struct {
		keys map[string]any
		cfg  Config
	}{
		"url":             {map[string]any{"url": "nats://127.0.0.1:1", "token": "s3cret"}, Config{URL: byToken}},
		"url with user":   {map[string]any{"url": byUser, "user": "ann", "password": "bad"}, Config{URL: userURL}},
		"url over creds":  {map[string]any{"url": byUser, "creds": strange}, Config{URL: userURL}},
		"user":            {map[string]any{"url": byUser, "user": "bob", "password": "bad"}, ann},
		"user over url":   {map[string]any{"url": with(byUser, "bob:bad")}, ann},
		"user over token": {map[string]any{"url": byUser, "token": "bad"}, ann},
		"user over nkey":  {map[string]any{"url": mixed, "nkey": strangeKey}, ann},
		"password":        {map[string]any{"url": byUser, "user": "ann"}, Config{Password: "s3cret"}},
		"token":           {map[string]any{"url": byToken, "token": "bad"}, Config{Token: "s3cret"}},
		"token over user": {map[string]any{"url": byToken, "user": "bob", "password": "bad"}, Config{Token: "s3cret"}},
		"nkey":            {map[string]any{"url": byKey, "nkey": strangeKey}, Config{NKey: nkey}},
		"nkey over creds": {map[string]any{"url": byKey, "creds": strange}, Config{NKey: nkey}},
		"creds":           {map[string]any{"url": byCreds, "creds": strange}, Config{Creds: creds}},
		"creds over nkey": {map[string]any{"url": byCreds, "nkey": strangeKey}, Config{Creds: creds}},
		"authority and cert": {
			map[string]any{"url": byTLS, "ca": badCert, "cert": badCert, "key": badKey},
			Config{CA: ca.file, Cert: cert, Key: key},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.cfg.Context = contextFile(t, c.keys)
			works(t, c.cfg)
		})
	}
}

// contextName is the environment variable that makes the test below the one that opens the context.
const contextName = "WOODWORK_TEST_CONTEXT"

// TestContextByName runs itself again with the directory where contexts are, which only the environment can say.
func TestContextByName(t *testing.T) {
	t.Parallel()
	if name := os.Getenv(contextName); name != "" {
		works(t, Config{Context: name})

		return
	}
	home := t.TempDir()
	dir := filepath.Join(home, "nats", "context")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	text := must(json.Marshal(map[string]any{"url": serve(t, users), "user": "ann", "password": "s3cret"}))(t)
	if err := os.WriteFile(filepath.Join(dir, "prod.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, ok := range map[string]bool{"prod": true, "test": false} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestContextByName$", "-test.count=1")
		cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+home, contextName+"="+name)
		out, err := cmd.CombinedOutput()
		if (err == nil) != ok || !ok && !strings.Contains(string(out), `unknown context "test"`) {
			t.Errorf("open context %s: %v\n%s", name, err, out)
		}
	}
}

// TestReconnectLogsNoSecret breaks the connection of a client whose URL holds a token.
func TestReconnectLogsNoSecret(t *testing.T) {
	t.Parallel()
	log := &lines{}
	b := works(t, Config{URL: with(serve(t, token), "s3cret"), Logger: zerolog.New(log)})
	if err := b.nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	text := log.until(t, "reconnected to NATS")
	if strings.Contains(text, "s3cret") {
		t.Errorf("the log holds the token: %s", text)
	}
	fill(t, b, testID(2), 1)
}
