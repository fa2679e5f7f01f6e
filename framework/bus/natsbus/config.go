package natsbus

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// Defaults of a [Config].
const (
	DefaultURL           = "nats://127.0.0.1:4222"
	DefaultName          = "woodwork"
	DefaultDialTimeout   = 5 * time.Second
	DefaultAppendTimeout = 400 * time.Millisecond
	DefaultMaxAge        = 24 * time.Hour
)

// Config says where the servers are, who this program is, and how data is kept. The zero value is a server without
// credentials on this machine, and its own settings for what it already keeps.
//
// User, Token, Creds or NKey, when one is set, is used instead of whatever credentials the URL and the context hold,
// and credentials in the URL instead of those of the context.
type Config struct {
	// URL is one server or several separated by commas, of the forms nats://, tls://, ws:// and wss://. With Context
	// it replaces the URL there. Defaults to [DefaultURL].
	URL string
	// InProcess is a server in this process, to be used instead of a URL; package embedded has one. Defaults to none.
	InProcess InProcess
	// Context is the name of a NATS context, as the nats command line keeps it, or the absolute path of its file. The
	// fields below that are set override what it says. Defaults to none.
	Context string
	// Creds is the path of a credentials file. Defaults to none.
	Creds string
	// NKey is the path of a file with an nkey's seed. Defaults to none.
	NKey string
	// User and Password authenticate a user; Password alone is that of the user whom the context names. Default to
	// none.
	User     string
	Password string
	// Token authenticates by a token. Defaults to none.
	Token string
	// CA is the path of a PEM file with the authorities that may sign the server's certificate. Defaults to the
	// system's.
	CA string
	// Cert and Key are the paths of the PEM files of this client's certificate and its key. Default to none.
	Cert string
	Key  string

	// App is the application whose data this is; see [subjects.New]. Defaults to [subjects.DefaultApp].
	App string
	// Shards is over how many JetStream streams the sessions are spread. It is chosen once per deployment: another
	// number than what is there is an error. Defaults to what is there, or [subjects.DefaultShards] in a new one.
	Shards int
	// Replicas is how many servers keep each entry: 1, 3 or 5. Another number than what is there changes it. Defaults
	// to what is there; in a new deployment to 3 on a cluster of at least three servers and 1 elsewhere.
	Replicas int
	// Synced declares that the servers run with sync_interval: always, which a client can't see; it decides which
	// durability class the bus reports. Defaults to false.
	Synced bool
	// MaxAge is how long frames are kept. It must outlive the longest stream that is still open: of a stream
	// whose first frames have expired only the rest can be read. Defaults to what is there, or [DefaultMaxAge].
	MaxAge time.Duration
	// MaxBytes bounds the frames of each shard. A full shard refuses appends with [bus.ErrFull] until older frames
	// have expired: it never drops what someone may still be reading. Defaults to what is there, or to the limits of
	// the account and the servers.
	MaxBytes int64

	// Name is what servers call this client, and the end of its inbox prefix. Defaults to [DefaultName].
	Name string
	// InboxPrefix begins the subjects on which this client gets replies; it needs the right to subscribe to
	// "<prefix>.>". Defaults to the context's, or "_INBOX_<Name>" with what no id can hold left out.
	InboxPrefix string
	// DialTimeout is how long [Open] waits for a server that answers. Defaults to [DefaultDialTimeout].
	DialTimeout time.Duration
	// AppendTimeout bounds one try of an append, after which its outcome is unknown. A connection that takes nothing is
	// given up after two seconds, which may come on top. Defaults to [DefaultAppendTimeout].
	AppendTimeout time.Duration
	// Logger receives changes of the connection and what the server complains about; never content. Defaults to none.
	Logger zerolog.Logger
}

// InProcess is a server in this process.
type InProcess interface {
	// InProcessConn returns the client's end of a new connection.
	InProcessConn() (net.Conn, error)
}

// withDefaults returns the configuration with every field filled that has a default of its own.
func (c Config) withDefaults() Config {
	if c.URL == "" && c.Context == "" {
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
	if _, err := subjects.New(c.App, c.Shards); err != nil {
		bad = append(bad, fmt.Errorf("%w: %w", bus.ErrInvalid, err))
	}
	check(c.Replicas == 0 || c.Replicas == 1 || c.Replicas == 3 || c.Replicas == 5,
		"Replicas %d: use 1, 3 or 5, or 0 for the default", c.Replicas)
	check(c.MaxAge == 0 || c.MaxAge >= minMaxAge, "MaxAge %v: use at least %v", c.MaxAge, minMaxAge)
	check(c.MaxBytes >= 0, "MaxBytes %d: use a positive number, or 0 for the default", c.MaxBytes)
	check((c.Cert == "") == (c.Key == ""), "Cert and Key: set both or none")
	check(c.User != "" || c.Password == "" || c.Context != "", "Password: set User as well")
	check(c.InProcess == nil || c.Context == "", "InProcess and Context: set one of them")

	return errors.Join(bad...)
}

// inboxPrefix returns the prefix that Name stands for.
func (c Config) inboxPrefix() string {
	prefix := []byte("_INBOX_")
	for i := range len(c.Name) {
		if subjects.ValidID(c.Name[i : i+1]) {
			prefix = append(prefix, c.Name[i])
		}
	}

	return string(prefix)
}
