package redisbus

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// dialError says what went wrong and what to do about it.
func (b *Bus) dialError(err error) error {
	return &bus.DialError{URL: redact(b.cfg.URL), Hint: hint(err), Err: err}
}

// hint says what the user can do about an error of opening a bus, or is empty.
func hint(err error) string {
	var (
		op      *net.OpError
		dns     *net.DNSError
		checked *checkError
		reply   redis.Error
	)
	if advice := hintTLS(err); advice != "" {
		return advice
	}
	switch {
	case errors.As(err, &checked):
		return checked.hint
	case errors.Is(err, errURL):
		return "use a URL such as " + DefaultURL + "; in a password write / as %2F, % as %25 and the like"
	case errors.As(err, &reply):
		return hintReply(reply.Error())
	case errors.Is(err, os.ErrPermission):
		return "check the permissions of the socket"
	case errors.As(err, &dns):
		return "check the host name"
	case strings.Contains(err.Error(), "all sentinels"):
		return "check the sentinels' addresses and the name of the master"
	case errors.As(err, &op), errors.Is(err, context.DeadlineExceeded), errors.Is(err, errNoServer),
		errors.Is(err, os.ErrNotExist):
		return "is a Redis server running there? start one with `redis-server --appendonly yes`, or name another with REDIS_URL"
	}

	return ""
}

// hintReply is hint for what the server answered.
func hintReply(reply string) string {
	code, _, _ := strings.Cut(reply, " ")
	switch code {
	case "WRONGPASS", "NOAUTH":
		return "check the user and password"
	case "NOPERM":
		return "grant this user the application's keys and channels (ww:*), +@all or at least streams, scripts, pub/sub and INFO"
	case "LOADING":
		return "the server reads its file; try again when it has"
	}
	if strings.Contains(reply, "without any password configured") {
		return "leave out the password: the server has none"
	}

	return ""
}

// hintTLS is hint for what can go wrong with certificates.
func hintTLS(err error) string {
	var (
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		host      x509.HostnameError
		record    tls.RecordHeaderError
		op        *net.OpError
	)
	switch {
	case errors.As(err, &authority):
		return "name the authority that signed the server's certificate with CA (REDIS_CA)"
	case errors.As(err, &invalid):
		return "give the server a certificate that is valid today, or set this machine's clock"
	case errors.As(err, &host):
		return "use a host name that the server's certificate is for"
	case errors.As(err, &record):
		return "use redis:// where the server does not speak TLS"
	case errors.As(err, &op) && op.Op == "remote error":
		return "the server ends the TLS connection: it may want a client certificate (REDIS_CERT, REDIS_KEY) that it trusts"
	}

	return ""
}
