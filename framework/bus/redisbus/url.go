package redisbus

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// defaultPort and defaultSentinelPort are used where a URL names none.
const (
	defaultPort         = "6379"
	defaultSentinelPort = "26379"
)

// target is what a URL says.
type target struct {
	addrs    []string // host:port; one path of a socket with unix
	unix     bool
	tls      bool
	master   string // with sentinels: the name of their master
	db       int
	user     string
	password string
}

// Forms of a URL.
const (
	schemeRedis       = "redis"
	schemeTLS         = "rediss"
	schemeUnix        = "unix"
	schemeSentinel    = "redis+sentinel"
	schemeSentinelTLS = "rediss+sentinel"
)

var errURL = errors.New("malformed URL")

// parseURL reads a URL. Its errors quote nothing that may be a password.
func parseURL(s string) (target, error) {
	scheme, rest, found := strings.Cut(s, "://")
	if !found {
		return target{}, fmt.Errorf("%w: no scheme: %w", errURL, bus.ErrInvalid)
	}
	var t target
	// Only the last @ ends the credentials: one may be in a password.
	at := strings.LastIndexByte(rest, '@')
	if err := t.credentials(rest[:max(at, 0)]); err != nil {
		return target{}, err
	}
	rest = rest[at+1:]
	t.tls = scheme == schemeTLS || scheme == schemeSentinelTLS
	var err error
	switch scheme {
	case schemeUnix:
		err = t.socket(rest)
	case schemeRedis, schemeTLS:
		err = t.servers(rest)
	case schemeSentinel, schemeSentinelTLS:
		err = t.sentinels(rest)
	default:
		err = fmt.Errorf("%w: scheme %.40q: %w", errURL, scheme, bus.ErrInvalid)
	}
	if err != nil {
		return target{}, err
	}

	return t, nil
}

func (t *target) credentials(s string) error {
	user, password, found := strings.Cut(s, ":")
	if !found && s != "" {
		return fmt.Errorf("%w: a user without a password: %w", errURL, bus.ErrInvalid)
	}
	var bad [2]error
	t.user, bad[0] = url.PathUnescape(user)
	t.password, bad[1] = url.PathUnescape(password)
	if errors.Join(bad[:]...) != nil {
		return fmt.Errorf("%w: credentials: %w", errURL, bus.ErrInvalid)
	}

	return nil
}

func (t *target) socket(s string) error {
	path, query, _ := strings.Cut(s, "?")
	values, err := url.ParseQuery(query)
	if err != nil || path == "" || path[0] != '/' || query != "" && (len(values) != 1 || !values.Has("db")) {
		return fmt.Errorf("%w: %.200q is no absolute path of a socket: %w", errURL, s, bus.ErrInvalid)
	}
	t.unix, t.addrs = true, []string{path}

	return t.database(values.Get("db"))
}

func (t *target) servers(s string) error {
	hosts, db, _ := strings.Cut(s, "/")
	if err := t.hosts(hosts, defaultPort); err != nil {
		return err
	}
	if err := t.database(db); err != nil {
		return err
	}
	if len(t.addrs) > 1 && t.db != 0 {
		return fmt.Errorf("%w: a cluster has database 0 only: %w", errURL, bus.ErrInvalid)
	}

	return nil
}

func (t *target) sentinels(s string) error {
	hosts, rest, _ := strings.Cut(s, "/")
	if err := t.hosts(hosts, defaultSentinelPort); err != nil {
		return err
	}
	master, db, _ := strings.Cut(rest, "/")
	if master == "" {
		return fmt.Errorf("%w: no name of a master behind the sentinels: %w", errURL, bus.ErrInvalid)
	}
	t.master = master

	return t.database(db)
}

func (t *target) hosts(list, port string) error {
	for host := range strings.SplitSeq(list, ",") {
		addr := strings.TrimSpace(host)
		name, number, err := net.SplitHostPort(addr)
		if err != nil { // no port
			name, number = strings.Trim(addr, "[]"), port
		}
		if _, err := strconv.ParseUint(number, 10, 16); err != nil || name == "" || strings.ContainsAny(name, "?#/ ") {
			return fmt.Errorf("%w: %.200q is no host:port: %w", errURL, host, bus.ErrInvalid)
		}
		t.addrs = append(t.addrs, net.JoinHostPort(name, number))
	}

	return nil
}

func (t *target) database(s string) error {
	if s == "" {
		return nil
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return fmt.Errorf("%w: %.40q is no number of a database: %w", errURL, s, bus.ErrInvalid)
	}
	t.db = int(n)

	return nil
}

// redact removes user name and password from a URL, also from one that is malformed.
func redact(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return s
	}
	scheme, _, found := strings.Cut(s, "://")
	if !found || len(scheme) > at {
		scheme = schemeRedis
	}

	return scheme + "://" + s[at+1:]
}
