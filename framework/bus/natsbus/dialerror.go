package natsbus

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// dialError says what went wrong and what to do about it.
func (b *Bus) dialError(err error) error {
	where := redact(b.cfg.URL)
	switch {
	case b.cfg.InProcess != nil:
		where = "in-process"
	case where == "":
		where = "of NATS context " + b.cfg.Context
	}
	advice := hint(err)
	if advice == "" && b.cfg.Context != "" {
		advice = "check the context; `nats context ls` lists those that there are"
	}

	return &bus.DialError{URL: where, Hint: advice, Err: stripURL(err)}
}

// redact removes user names, passwords and tokens from a list of URLs.
func redact(list string) string {
	if list == "" {
		return ""
	}
	urls := strings.Split(list, ",")
	for i, s := range urls {
		s = strings.TrimSpace(s)
		// What precedes an @ is secret, also where the rest is no URL.
		if at := strings.LastIndexByte(s, '@'); at >= 0 {
			scheme, _, found := strings.Cut(s, "://")
			if !found || len(scheme) > at {
				scheme = "nats"
			}
			s = scheme + "://" + s[at+1:]
		}
		urls[i] = s
	}

	return strings.Join(urls, ",")
}

// stripURL removes the URL from an error about its form. The reason goes with it where there are credentials: it quotes
// what it stumbled over, which is the password when that has a "/" or "%".
func stripURL(err error) error {
	ue, ok := errors.AsType[*url.Error](err)
	switch {
	case !ok:
		return err
	case strings.Contains(ue.URL, "@"):
		return fmt.Errorf("malformed URL: %w", bus.ErrInvalid)
	default:
		return fmt.Errorf("malformed URL: %w: %w", bus.ErrInvalid, ue.Err)
	}
}

// hint says what the user can do about an error of opening a bus, or is empty.
func hint(err error) string {
	var (
		op      *net.OpError
		dns     *net.DNSError
		ue      *url.Error
		checked *checkError
	)
	if advice := hintTLS(err); advice != "" {
		return advice
	}
	switch {
	case errors.As(err, &checked):
		return checked.hint
	case errors.As(err, &ue):
		return "use a URL such as " + DefaultURL + "; in a password write / as %2F, % as %25 and the like"
	case isAny(err, nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired,
		nats.ErrNkeysNotSupported):
		return "check the user, password, token, nkey or credentials file"
	case errors.Is(err, nats.ErrPermissionViolation):
		return hintPermissions
	case isAny(err, os.ErrNotExist, os.ErrPermission):
		return "check the path and its permissions"
	case errors.As(err, &dns):
		return "check the host name"
	case errors.As(err, &op), isAny(err, nats.ErrNoServers, nats.ErrTimeout, context.DeadlineExceeded):
		return "is a NATS server with JetStream running there? start one with `nats-server -js`, or name another with NATS_URL"
	}

	return ""
}

// hintTLS is hint for what can go wrong with certificates.
func hintTLS(err error) string {
	var (
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		host      x509.HostnameError
		op        *net.OpError
	)
	switch {
	case errors.As(err, &authority):
		return "name the authority that signed the server's certificate with CA (NATS_CA)"
	case errors.As(err, &invalid):
		return "give the server a certificate that is valid today, or set this machine's clock"
	case errors.As(err, &host):
		return "use a host name that the server's certificate is for"
	case isAny(err, nats.ErrSecureConnRequired, nats.ErrSecureConnWanted):
		return "use tls:// where the server wants TLS, and nats:// without a CA where it does not"
	case errors.Is(err, nats.ErrTLS), errors.As(err, &op) && op.Op == "remote error":
		return "the server ends the TLS connection: it may want a client certificate (NATS_CERT, NATS_KEY) that it trusts"
	}

	return ""
}

func isAny(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}

	return false
}
