package natsbus

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/woodwork-go/woodwork/embedded"
)

// writeFile writes a file of the test and returns its path.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}

	return path
}

// serve runs a server with a configuration of its own and returns its URL.
func serve(t *testing.T, conf string) string {
	t.Helper()
	s := must(embedded.Start(t.Context(), embedded.Config{
		Dir: t.TempDir(), Listen: "127.0.0.1:0", File: writeFile(t, "nats.conf", conf),
	}))(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})

	return s.URL()
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der := must(x509.CreateCertificate(rand.Reader, a.cert, a.cert, a.key.Public(), a.key))(t)
	a.file = writeFile(t, "ca.pem", pemOf("CERTIFICATE", der))

	return a
}

// issue makes a certificate for a host that is valid until then, good for servers and clients, and returns the files.
func (a *authority) issue(t *testing.T, host string, until time.Time) (cert, key string) {
	t.Helper()
	own := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		leaf.IPAddresses = []net.IP{ip}
	} else {
		leaf.DNSNames = []string{host}
	}
	der := must(x509.CreateCertificate(rand.Reader, leaf, a.cert, own.Public(), a.key))(t)
	cert = writeFile(t, "cert.pem", pemOf("CERTIFICATE", der))

	return cert, writeFile(t, "key.pem", pemOf("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(own))(t)))
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// tlsConf is the tls block of a server with a certificate for a host.
func (a *authority) tlsConf(t *testing.T, host string, until time.Time, more string) string {
	t.Helper()
	cert, key := a.issue(t, host, until)

	return fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q\n%s }\n", cert, key, a.file, more)
}

// newUserKey makes an nkey of a user and returns its public key and the file with its seed.
func newUserKey(t *testing.T) (public, file string) {
	t.Helper()
	key := must(nkeys.CreateUser())(t)

	return must(key.PublicKey())(t), writeFile(t, "user.nk", string(must(key.Seed())(t))+"\n")
}

// operator is the part of a server's configuration that trusts an operator, and how to make users of its one account.
type operator struct {
	conf    string
	account nkeys.KeyPair
}

// newOperator signs an account, which has JetStream when it may store something.
func newOperator(t *testing.T, storage int64) *operator {
	t.Helper()
	op, account, system := must(nkeys.CreateOperator())(t), must(nkeys.CreateAccount())(t), must(nkeys.CreateAccount())(t)
	claims := jwt.NewAccountClaims(must(account.PublicKey())(t))
	claims.Limits.DiskStorage, claims.Limits.Streams, claims.Limits.Consumer = storage, -1, -1
	systemClaims := jwt.NewAccountClaims(must(system.PublicKey())(t))
	opClaims := jwt.NewOperatorClaims(must(op.PublicKey())(t))
	opClaims.SystemAccount = systemClaims.Subject

	return &operator{account: account, conf: fmt.Sprintf(
		"operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload { %s: %s\n%s: %s }\n",
		must(opClaims.Encode(op))(t), systemClaims.Subject,
		claims.Subject, must(claims.Encode(op))(t), systemClaims.Subject, must(systemClaims.Encode(op))(t),
	)}
}

// user makes a credentials file that is valid until then.
func (o *operator) user(t *testing.T, until time.Time) string {
	t.Helper()
	key := must(nkeys.CreateUser())(t)
	claims := jwt.NewUserClaims(must(key.PublicKey())(t))
	claims.Expires = until.Unix()
	text := must(jwt.FormatUserConfig(must(claims.Encode(o.account))(t), must(key.Seed())(t)))(t)

	return writeFile(t, "user.creds", string(text))
}

// lines collects a log.
type lines struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{}
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}

	return l.text.Write(p)
}

// until returns the log once it holds a text.
func (l *lines) until(t *testing.T, text string) string {
	t.Helper()
	late := time.After(patience)
	for {
		l.mu.Lock()
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		now, changed := l.text.String(), l.changed
		l.mu.Unlock()
		if strings.Contains(now, text) {
			return now
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("the log does not say %q: %s", text, now)
		}
	}
}
