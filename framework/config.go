package framework

import (
	"cmp"
	"context"
	"net"
	"time"

	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/dial"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
	"github.com/woodwork-go/woodwork/framework/bus/redisbus"
	"github.com/woodwork-go/woodwork/framework/call"
	"github.com/woodwork-go/woodwork/framework/monitor"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/framework/telemetry"
)

// Config says which bus a process uses and how it runs. The zero value works: it is a bus at
// nats://127.0.0.1:4222 without credentials. [Main] fills it from flags, then the environment, then the NATS context.
type Config struct {
	// URL of the bus; its scheme chooses the broker, see dial.Open. Defaults to that of the NATS context, else to
	// nats://127.0.0.1:4222.
	URL string
	// Context is the name of a NATS context (as the nats command line stores them). Defaults to none.
	Context string
	// Creds is the path of a NATS credentials file. Defaults to none.
	Creds string
	// User and Password, or a token of NATS as User alone. Password alone is that of the user whom the NATS context names,
	// and that of Redis. Defaults to those in the URL.
	User     string
	Password string
	// NKey is the path of a file with an NKey seed. Defaults to none.
	NKey string
	// CA, Cert and Key are paths of PEM files for TLS. Defaults to the system's authorities and no client certificate.
	CA   string
	Cert string
	Key  string

	// App is the application's namespace on the bus; applications don't see each other. Defaults to "default".
	App string
	// Shards is over how many logs the sessions are spread; choose it once per deployment. Defaults to 4.
	Shards int
	// Replicas of what is stored. Defaults to 3 on a cluster of three or more servers, else to 1.
	Replicas int
	// Synced says that the servers sync to disk before they acknowledge; they don't tell it themselves. Defaults to
	// false.
	Synced bool

	// Bus is an open bus to use instead of opening one; it is not closed with the client. Defaults to none.
	Bus bus.Bus
	// InProcess is a server in this process to connect to instead of a URL. Defaults to none.
	InProcess interface{ InProcessConn() (net.Conn, error) }
	// Brokers hold the data of memory: URLs. Programs that are to share it get the same Brokers. Defaults to none.
	Brokers *dial.Brokers
	// Embedded starts the server of embedded: URLs; see dial.Config. Defaults to none.
	Embedded func(ctx context.Context, dir string) (natsbus.InProcess, error)
	// Stream tunes writers and readers. Defaults to the values of stream.Config.
	Stream stream.Config
	// Calls says how patiently other components are called. Defaults to the values of call.Config, and From to Name.
	Calls call.Config

	// Tenant whose sessions a client sees; it reaches no other's. A service works for all tenants. See session.Store for
	// who enforces it. Defaults to none: the client sees all.
	Tenant string
	// SessionTTL is how long a session and the state in it last without activity, at least 1 s. Defaults to as long as the
	// bus keeps streams (bus.Info.Retention), 24 h where nothing else is set; see session.Config.
	SessionTTL time.Duration
	// Instance is this instance's id in the registry. A second process with the id is refused while the first one runs,
	// and waits until the entry of one that crashed has expired. Defaults to a random id.
	Instance string
	// RegistryTTL is how long an instance that died is still listed in the registry: whole seconds, at least 1 s.
	// Defaults to 10 s.
	RegistryTTL time.Duration
	// Heartbeat is how often the instance's entry in the registry is refreshed. Defaults to a third of RegistryTTL.
	Heartbeat time.Duration
	// Monitor says when so much of an instance's work fails that it drains and ends, with ErrSick. Defaults to never.
	Monitor monitor.Config
	// Health is the address of the health endpoint, such as "127.0.0.1:8090". Defaults to none.
	Health string
	// Drain is how long running turns may go on after the process was told to end; then other instances take them.
	// Defaults to 20 s; -1 hands them over at once.
	Drain time.Duration
	// Telemetry says whether traces are exported. What of it is not set follows from the other fields. Defaults to off.
	Telemetry telemetry.Config
	// Logger of the process. Defaults to none.
	Logger zerolog.Logger
	// Name tells this process from others on the broker, for operators. Defaults to the service's name.
	Name string
}

func (c *Config) dialConfig() dial.Config {
	return dial.Config{NATS: c.natsConfig(), Redis: c.redisConfig(), Brokers: c.Brokers, Embedded: c.Embedded}
}

func (c *Config) redisConfig() redisbus.Config {
	return redisbus.Config{
		User: c.User, Password: c.Password, CA: c.CA, Cert: c.Cert, Key: c.Key,
		App: c.App, Name: c.Name, Logger: c.Logger,
	}
}

// telemetry completes the settings of traces.
func (c *Config) telemetry() telemetry.Config {
	t := c.Telemetry
	t.Service, t.Namespace = cmp.Or(t.Service, c.Name), cmp.Or(t.Namespace, c.App)
	t.Version, t.Instance = cmp.Or(t.Version, Version()), cmp.Or(t.Instance, instance())
	t.Logger = c.Logger

	return t
}

func (c *Config) natsConfig() natsbus.Config {
	user, token := c.User, ""
	if c.Password == "" {
		user, token = "", c.User
	}

	return natsbus.Config{
		Context: c.Context, Creds: c.Creds, User: user, Password: c.Password, Token: token, NKey: c.NKey,
		CA: c.CA, Cert: c.Cert, Key: c.Key,
		App: c.App, Shards: c.Shards, Replicas: c.Replicas, Synced: c.Synced,
		Name: c.Name, InProcess: c.InProcess, Logger: c.Logger,
	}
}
