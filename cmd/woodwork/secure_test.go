package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/embedded"
	"github.com/woodwork-go/woodwork/services/llm/provider/offline"
)

// TestChatOverTLSWithAPassword has a chat and a model meet on a server that wants TLS and a password, with nothing but
// the variables of the environment that NATS users know.
func TestChatOverTLSWithAPassword(t *testing.T) {
	t.Parallel()

	url, ca := secureServer(t)
	env := func(password string) []string {
		return []string{
			"NATS_URL=" + url, "NATS_USER=ann", "NATS_PASSWORD=" + password, "NATS_CA=" + ca,
			"WOODWORK_PACE=0s", "WOODWORK_SESSION=secure",
		}
	}
	llm := start(t, nil, env("s3cret"), "woodwork-llm")
	chat := start(t, strings.NewReader("hello\n"), env("s3cret"), "woodwork", "chat")

	if code := chat.wait(); code != 0 || !strings.Contains(chat.stdout.String(), offline.Answer("hello")) {
		t.Errorf("exit code %d, stdout %q, stderr %q; want the answer", code, chat.stdout, chat.stderr)
	}

	if code := llm.terminate(); code != 0 {
		t.Errorf("the model exited with %d", code)
	}

	for _, program := range [][]string{{"woodwork", "chat"}, {"woodwork-llm"}} {
		p := start(t, strings.NewReader("hello\n"), env("s3cretwrong"), program[0], program[1:]...)
		code, text := p.wait(), p.stderr.String()

		if code != 1 || p.stdout.String() != "" || strings.Count(text, "\n") != 1 || !strings.Contains(text, "check the user") {
			t.Errorf("%v with a wrong password: exit code %d, stdout %q, stderr %q", program, code, p.stdout, text)
		}

		if strings.Contains(text, "s3cret") {
			t.Errorf("%v shows the password: %q", program, text)
		}
	}
}

// secureServer runs a server that wants TLS and a password, and returns its URL and the file with its authority.
func secureServer(t *testing.T) (url, ca string) {
	t.Helper()

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}

	own := &x509.Certificate{ // signed by itself: server and authority in one
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}

	cert, err := x509.CreateCertificate(rand.Reader, own, own, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}

	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}

	ca = writeTemp(t, "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	keyFile := writeTemp(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	conf := fmt.Sprintf("tls { cert_file: %q, key_file: %q }\nauthorization { user: ann, password: s3cret }\n", ca, keyFile)

	s, err := embedded.Start(t.Context(), embedded.Config{
		Dir: t.TempDir(), Listen: "127.0.0.1:0", File: writeTemp(t, "nats.conf", []byte(conf)),
	})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})

	return s.URL(), ca
}

func writeTemp(t *testing.T, name string, data []byte) string {
	t.Helper()

	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}

	return path
}
