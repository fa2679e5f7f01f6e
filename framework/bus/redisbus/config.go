package redisbus

import (
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// Defaults of a [Config].
const (
	DefaultURL           = "redis://127.0.0.1:6379"
	DefaultName          = "woodwork"
	DefaultDialTimeout   = 5 * time.Second
	DefaultAppendTimeout = 400 * time.Millisecond
	DefaultMaxAge        = 24 * time.Hour
	DefaultConnections   = 32
)

// minMaxAge keeps an append that is repeated within its log's life.
const minMaxAge = time.Second

// Config says where the servers are, who this program is, and how data is kept. The zero value is a server without
// credentials on this machine.
//
// User and Password, when one is set, are used instead of those in the URL.
type Config struct {
	// URL says where the servers are, in one of these forms; rediss is TLS:
	//
	//	redis://[user:password@]host:port[/db]                               one server, or one of a cluster
	//	redis://[user:password@]host:port,host:port                          a cluster
	//	redis+sentinel://[user:password@]host:port,host:port/<master>[/db]   the master that sentinels name
	//	unix://[user:password@]/path/to/socket[?db=N]                        one server on this machine
	//
	// Defaults to [DefaultURL].
	URL string
	// User and Password authenticate a user; Password alone is that of the user "default". Default to those in the URL.
	User     string
	Password string
	// SentinelUser and SentinelPassword authenticate to sentinels. Default to none.
	SentinelUser     string
	SentinelPassword string
	// CA is the path of a PEM file with the authorities that may sign the server's certificate; it needs a URL with
	// TLS. Defaults to the system's.
	CA string
	// Cert and Key are the paths of the PEM files of this client's certificate and its key. Default to none.
	Cert string
	Key  string

	// App is the application whose data this is; see [subjects.New]. Defaults to [subjects.DefaultApp].
	App string
	// MaxAge is how long frames are kept, at least; those of a log that is written steadily go at most an eighth later.
	// It must outlive the longest stream that is still open: a stream whose first frames have expired can't be read from
	// its beginning. Defaults to [DefaultMaxAge].
	MaxAge time.Duration

	// Name is what servers call this client. Defaults to [DefaultName].
	Name string
	// DialTimeout is how long [Open] waits for a server that answers. Defaults to [DefaultDialTimeout].
	DialTimeout time.Duration
	// AppendTimeout bounds one try of an append, after which its outcome is unknown. Defaults to
	// [DefaultAppendTimeout].
	AppendTimeout time.Duration
	// Connections bounds the connections to each server, without the one that is subscribed. Defaults to
	// [DefaultConnections].
	Connections int
	// Logger receives changes of the connection and what is wrong with the server; never content. Defaults to none.
	Logger zerolog.Logger
}

// withDefaults returns the configuration with every field filled.
func (c Config) withDefaults() Config {
	if c.URL == "" {
		c.URL = DefaultURL
	}
	if c.Name == "" {
		c.Name = DefaultName
	}
	if c.DialTimeout <= 0 {
		c.DialTimeout = DefaultDialTimeout
	}
	if c.AppendTimeout <= 0 {
		c.AppendTimeout = DefaultAppendTimeout
	}
	if c.MaxAge == 0 {
		c.MaxAge = DefaultMaxAge
	}
	if c.Connections <= 0 {
		c.Connections = DefaultConnections
	}

	return c
}

// validate reports all fields that can't be used, by name.
func (c Config) validate() error {
	var bad []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			bad = append(bad, fmt.Errorf(format+": %w", append(args, bus.ErrInvalid)...))
		}
	}
	if _, err := subjects.New(c.App, 0); err != nil {
		bad = append(bad, fmt.Errorf("%w: %w", bus.ErrInvalid, err))
	}
	check(c.MaxAge == 0 || c.MaxAge >= minMaxAge, "MaxAge %v: use at least %v", c.MaxAge, minMaxAge)
	check((c.Cert == "") == (c.Key == ""), "Cert and Key: set both or none")
	check(c.User == "" || c.Password != "", "User: set Password as well")
	check(validName(c.Name), "Name %.40q: use printable characters without spaces", c.Name)

	return errors.Join(bad...)
}

// validName reports whether the server takes this as the name of a client.
func validName(name string) bool {
	for i := range len(name) {
		if name[i] <= ' ' || name[i] > '~' {
			return false
		}
	}

	return true
}
