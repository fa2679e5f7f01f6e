package embedded_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/woodwork-go/woodwork/embedded"
)

// writeConf writes a configuration file of nats-server and returns its path.
func writeConf(t *testing.T, text string) string {
	t.Helper()

	path := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}

	return path
}

func TestFileAppliesWhereTheConfigSaysNothing(t *testing.T) {
	t.Parallel()

	dir, elsewhere := t.TempDir(), t.TempDir()
	s := start(t, embedded.Config{Dir: dir, Listen: "127.0.0.1:0", File: writeConf(t, `
		listen: "127.0.0.1:1"
		log_file: "`+elsewhere+`/server.log"
		max_payload: 2MB
		jetstream { store_dir: "`+elsewhere+`/js" }
		authorization { user: ann, password: pass }`)})

	if nc, err := nats.Connect(s.URL()); !errors.Is(err, nats.ErrAuthorization) {
		nc.Close()
		t.Errorf("connect without a password: %v, want ErrAuthorization", err)
	}

	js := dial(t, s.URL(), nats.UserInfo("ann", "pass"))
	store(t, js, 1, "kept")

	if got := js.Conn().MaxPayload(); got != 2<<20 {
		t.Errorf("messages may have %d bytes, want what the file says", got)
	}

	if _, err := os.Stat(filepath.Join(dir, "jetstream", "$G", "streams", "S")); err != nil {
		t.Errorf("the data is not in the directory of the Config: %v", err)
	}

	if left, err := os.ReadDir(elsewhere); err != nil || len(left) > 0 {
		t.Errorf("the server wrote where the file says: %v, %v", left, err)
	}

	over := start(t, embedded.Config{MaxPayload: 3 << 20, File: writeConf(t, "max_payload: 2MB")})
	if got := connect(t, over).Conn().MaxPayload(); got != 3<<20 {
		t.Errorf("messages may have %d bytes, want what the Config says", got)
	}
}

func TestFileCanDisableJetStream(t *testing.T) {
	t.Parallel()

	js := connect(t, start(t, embedded.Config{File: writeConf(t, "jetstream: disabled")}))
	if _, err := js.AccountInfo(t.Context()); !errors.Is(err, jetstream.ErrJetStreamNotEnabled) {
		t.Errorf("account: %v, want ErrJetStreamNotEnabled", err)
	}
}

func TestErrorsInTheFileNameIt(t *testing.T) {
	t.Parallel()

	for _, text := range []string{
		"authorization {",                  // does not parse
		"max_payload: much\nno_such: true", // two errors
		`tls { cert_file: "/nowhere.pem", key_file: "/nowhere.key" }`,
		"jetstream { store_dir: 1 }",
		"operator: /nowhere.jwt",
		"no_auth_user: nobody\nauthorization { users = [{user: a, password: b}] }", // found when the server is made
		`http: "192.0.2.1:1"`,                                                      // found when it starts
	} {
		conf := writeConf(t, text)
		dir := t.TempDir()
		wantStartError(t, embedded.Config{Dir: dir, File: conf}, nil, conf)
		start(t, embedded.Config{Dir: dir}) // the failed start left the directory free
	}

	wantStartError(t, embedded.Config{File: "/nowhere.conf"}, nil, "/nowhere.conf")
}
