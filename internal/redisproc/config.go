package redisproc

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Fsync is when a server writes its log to the disk.
type Fsync string

// The values of Fsync.
const (
	// NoLog keeps everything in memory only; it does not survive the process.
	NoLog Fsync = ""
	// EverySecond loses the last two seconds in a power loss, and in the death of the process those answers of the last
	// two seconds that were given while the disk was synced.
	EverySecond Fsync = "everysec"
	// Always survives a power loss.
	Always Fsync = "always"
)

// Config says how a server runs. Dir is required, everything else may be left out.
type Config struct {
	// Dir is the directory of the data, the settings and the log. It must exist.
	Dir string
	// Fsync is how durable the data is. Defaults to NoLog.
	Fsync Fsync
	// MaxMemory is the size in Redis's own words, such as "64mb", over which writes are refused. Defaults to no bound.
	MaxMemory string
	// Password that clients must give. Defaults to none.
	Password string
	// TLS are the server's certificate and key, and the authority of both sides, as paths of PEM files. Clients need no
	// certificate; the line "tls-auth-clients yes" asks for one. Defaults to no TLS.
	TLS TLS
	// Socket is the path of a unix socket to listen on instead of a port. Defaults to a free port of 127.0.0.1.
	Socket string
	// ReplicaOf is the address of the server whose copy this one is. Defaults to none.
	ReplicaOf string
	// Lines are added to the end of the settings, one directive each. Defaults to none.
	Lines []string
}

// TLS holds paths of PEM files.
type TLS struct{ Cert, Key, CA string }

func (c *Config) secure() bool { return c.TLS.Cert != "" }

// URL returns where clients that are told addr find the server.
func (c *Config) URL(addr string) string {
	u := url.URL{Scheme: "redis", Host: addr}
	if c.secure() {
		u.Scheme = "rediss"
	}

	if c.Socket != "" {
		u = url.URL{Scheme: "unix", Path: addr}
	}

	if c.Password != "" {
		u.User = url.UserPassword("", c.Password)
	}

	return u.String()
}

// file returns the settings as redis-server reads them.
func (c *Config) file(addr string) (string, error) {
	lines := []string{
		"daemonize no", `save ""`, "dir " + quote(c.Dir), "maxmemory-policy noeviction", "protected-mode no",
		"always-show-logo no", "shutdown-timeout 0",
	}

	listen, err := c.listen(addr)
	if err != nil {
		return "", err
	}

	lines = append(lines, listen...)

	if c.Fsync != NoLog {
		lines = append(lines, "appendonly yes", "appendfsync "+string(c.Fsync))
	}

	if c.MaxMemory != "" {
		lines = append(lines, "maxmemory "+c.MaxMemory)
	}

	if c.Password != "" {
		lines = append(lines, "requirepass "+quote(c.Password), "masterauth "+quote(c.Password))
	}

	if c.ReplicaOf != "" {
		host, port, err := net.SplitHostPort(c.ReplicaOf)
		if err != nil {
			return "", fmt.Errorf("replica of: %w", err)
		}

		lines = append(lines, "replicaof "+host+" "+port)
	}

	return strings.Join(append(lines, c.Lines...), "\n") + "\n", nil
}

func (c *Config) listen(addr string) ([]string, error) {
	if c.Socket != "" {
		return []string{"port 0", "unixsocket " + quote(addr)}, nil
	}

	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}

	if !c.secure() {
		return []string{"bind " + host, "port " + port}, nil
	}

	return []string{
		"bind " + host, "port 0", "tls-port " + port, "tls-auth-clients no", "tls-replication yes",
		"tls-cert-file " + quote(c.TLS.Cert), "tls-key-file " + quote(c.TLS.Key), "tls-ca-cert-file " + quote(c.TLS.CA),
	}, nil
}

// quote writes a value as one argument of a directive.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
