package framework

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/term"

	"github.com/woodwork-go/woodwork/framework/bus/dial"
	"github.com/woodwork-go/woodwork/framework/telemetry"
	"github.com/woodwork-go/woodwork/subjects"
)

// envPrefix stands before a flag's name in the environment.
const envPrefix = "WOODWORK_"

// UsageError is a mistake on the command line or in the environment. A process that ends with it exits with code 2.
type UsageError struct {
	// Err says what is wrong and what to write instead.
	Err error
}

// Error implements error.
func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the mistake.
func (e *UsageError) Unwrap() error { return e.Err }

// Options are the standard settings of every Woodwork program, as flags and environment variables.
type Options struct {
	// Config is filled by Parse.
	Config Config
	// To overrides Service.To when it is not nil.
	To []string
	// Concurrency overrides Service.Concurrency when it is not 0.
	Concurrency int
	// Affinity switches on Service.Affinity.
	Affinity bool
	// Whole says that the whole pipeline runs in this process, so that a bus in memory can carry it, and that Config has
	// the Brokers and the Embedded server for it. Set it before Parse. Defaults to false.
	Whole bool
	// LogLevel is the level of the log when nothing else is said: "debug", "info", "warn" or "error". Set it before
	// Register. Defaults to info.
	LogLevel string

	to, logFormat, passwordFile, bus string
}

// Register adds the standard flags to fs.
func (o *Options) Register(fs *flag.FlagSet) {
	c := &o.Config
	fs.StringVar(&c.URL, "server", "", "`URL` of the bus: nats://, redis://, ... (NATS_URL, REDIS_URL; default "+dial.DefaultURL+")")
	fs.StringVar(&c.URL, "url", "", "the same as -server")
	fs.StringVar(&o.bus, "bus", "", "which `bus`: nats, redis, memory, auto, or a URL (WOODWORK_MESSAGE_BUS; default auto)")
	fs.StringVar(&c.Context, "context", "", "NATS context `name` (NATS_CONTEXT)")
	fs.StringVar(&c.Creds, "creds", "", "NATS credentials `file` (NATS_CREDS)")
	fs.StringVar(&c.User, "user", "", "user `name`, or token of NATS (NATS_USER; its password in NATS_PASSWORD or REDIS_PASSWORD)")
	fs.StringVar(&o.passwordFile, "password-file", "", "`file` that holds the password (NATS_PASSWORD_FILE)")
	fs.StringVar(&c.NKey, "nkey", "", "NKey seed `file` (NATS_NKEY)")
	fs.StringVar(&c.CA, "tlsca", "", "certificate authority `file` (NATS_CA)")
	fs.StringVar(&c.Cert, "tlscert", "", "client certificate `file` (NATS_CERT)")
	fs.StringVar(&c.Key, "tlskey", "", "client key `file` (NATS_KEY)")
	fs.StringVar(&c.App, "app", "", "application `name`space on the bus (default \"default\")")
	fs.IntVar(&c.Shards, "shards", 0, "NATS logs the sessions are spread over; choose once per deployment (default 4)")
	fs.IntVar(&c.Replicas, "replicas", 0, "copies of stored data on NATS (default 3 on a cluster, else 1)")
	fs.BoolVar(&c.Synced, "synced", false, "the NATS servers run with sync_interval: always")
	fs.StringVar(&c.Health, "health", "", "`address` of the health endpoint, e.g. 127.0.0.1:8090")
	fs.StringVar(&c.Tenant, "tenant", "", "`name` of the tenant whose sessions these are (default: all tenants)")
	fs.DurationVar(&c.SessionTTL, "session-ttl", 0,
		"how long a session and its state last without activity (default: as long as the bus keeps streams)")
	fs.StringVar(&c.Instance, "instance", "", "`id` of this instance in the registry (default random)")
	fs.DurationVar(&c.RegistryTTL, "registry-ttl", 0, "how long an instance that died is listed, whole seconds (default 10s)")
	fs.DurationVar(&c.Heartbeat, "registry-heartbeat", 0, "how often the instance says that it is alive (default registry-ttl/3)")
	fs.Float64Var(&c.Monitor.MinSuccess, "min-success", 0,
		"share of the latest turns and calls, 0 to 1, below which this instance drains and ends (default: none)")
	registerCalls(fs, &c.Calls)
	fs.DurationVar(&c.Drain, "drain", 20*time.Second, "how long running turns may finish on SIGTERM; -1s hands them over")
	fs.StringVar(&o.to, "to", "", "`components` that get the output, comma-separated; \"output\" is the user")
	fs.IntVar(&o.Concurrency, "concurrency", 0, "turns at once in this instance (default 64)")
	fs.BoolVar(&o.Affinity, "affinity", false, "prefer for a session's turns the instance that served it last")
	fs.StringVar(&o.LogLevel, "log-level", cmp.Or(o.LogLevel, "info"), "`level` of the log on stderr: debug, info, warn, error")
	fs.StringVar(&o.logFormat, "log-format", "auto", "console, json, or auto: console on a terminal")
}

// Parse reads the command line and, for flags that it does not set, the environment; then it completes Config. A user,
// credentials file or nkey on the command line, or credentials in -server, hide all that the environment has. It
// returns a [*UsageError], or [flag.ErrHelp] after the help was printed to stderr.
func (o *Options) Parse(fs *flag.FlagSet, args []string, env func(string) string, stderr io.Writer) error {
	fs.SetOutput(io.Discard)

	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fs.SetOutput(stderr)
			fs.Usage()

			return flag.ErrHelp
		}

		return &UsageError{fmt.Errorf("%w; run %s -h for the flags", err, fs.Name())}
	}

	env = withoutRivals(fs, env)

	kind, err := o.chooseBus(fs, env)
	if err != nil {
		return &UsageError{err}
	}

	env = only(kind, o.Config.URL, env)
	err = errors.Join(fromEnvironment(fs, env), checkCalls(fs, &o.Config.Calls), o.complete(env, kind, stderr))
	if err != nil {
		return &UsageError{err}
	}

	return nil
}

// withoutRivals hides the credentials in env when the command line has its own, of whatever kind: shown together, the
// server would choose. A password goes with a user, from wherever that is.
func withoutRivals(fs *flag.FlagSet, env func(string) string) func(string) string {
	given := givenFlags(fs)
	inURL := strings.Contains(fs.Lookup("server").Value.String()+fs.Lookup("bus").Value.String(), "@")

	if !given["user"] && !given["creds"] && !given["nkey"] && !inURL {
		return env
	}

	rivals := []string{"user", "creds", "nkey"}
	if !given["user"] {
		rivals = append(rivals, "password-file")
	}

	hidden := map[string]bool{natsPassword: !given["user"], redisPassword: !given["user"]}
	for _, name := range rivals {
		hidden[envName(name)], hidden[natsEnv(name)] = true, true
	}

	return without(hidden, env)
}

func without(hidden map[string]bool, env func(string) string) func(string) string {
	return func(name string) string {
		if hidden[name] {
			return ""
		}

		return env(name)
	}
}

func givenFlags(fs *flag.FlagSet) map[string]bool {
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })

	return given
}

// fromEnvironment sets every flag that the command line did not set and the environment does.
func fromEnvironment(fs *flag.FlagSet, env func(string) string) error {
	given := givenFlags(fs)

	var errs []error

	fs.VisitAll(func(f *flag.Flag) {
		name := envName(f.Name)

		value := env(name)
		if value == "" {
			name = natsEnv(f.Name)
			value = env(name)
		}

		if given[f.Name] || value == "" || name == "" || choosesBus(f.Name) {
			return
		}

		if err := fs.Set(f.Name, value); err != nil {
			errs = append(errs, fmt.Errorf("environment variable %s: invalid value %s for -%s", name, strconv.Quote(value), f.Name))
		}
	})

	return errors.Join(errs...)
}

func envName(flagName string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flagName, "-", "_"))
}

// complete derives what one flag alone doesn't say.
func (o *Options) complete(env func(string) string, kind dial.Kind, stderr io.Writer) error {
	o.Config.Password = env(passwordEnv(kind))
	if o.passwordFile != "" {
		data, err := os.ReadFile(o.passwordFile)
		if err != nil {
			return fmt.Errorf("read password: %w", err)
		}

		o.Config.Password = strings.TrimRight(string(data), "\r\n")
		if o.Config.Password == "" {
			return fmt.Errorf("read password: %s: %w", o.passwordFile, errNoPassword)
		}
	}

	if o.to != "" {
		o.To = strings.Split(o.to, ",")
		for _, to := range o.To {
			if err := subjects.CheckID("component in -to", to); err != nil {
				return err //nolint:wrapcheck // it names the flag already
			}
		}
	}

	level, err := zerolog.ParseLevel(o.LogLevel)
	if err != nil {
		return fmt.Errorf("-log-level %q: use debug, info, warn or error: %w", o.LogLevel, err)
	}

	out, err := logWriter(o.logFormat, stderr)
	if err != nil {
		return err
	}

	if o.Config.Telemetry, err = telemetry.FromEnv(env); err != nil {
		return fmt.Errorf("traces: %w", err)
	}

	o.Config.Logger = zerolog.New(out).Level(level).With().Timestamp().Logger()

	return nil
}

// errNoPassword: the file that -password-file names holds none. Without one the user would be sent as a token.
var errNoPassword = errors.New("the file is empty")

// errLogFormat: -log-format has an unknown value.
var errLogFormat = errors.New("use console, json or auto")

func logWriter(format string, stderr io.Writer) (io.Writer, error) {
	console := format == "console"

	switch format {
	case "console", "json":
	case "auto":
		f, ok := stderr.(*os.File)
		console = ok && term.IsTerminal(int(f.Fd()))
	default:
		return nil, fmt.Errorf("-log-format %q: %w", format, errLogFormat)
	}

	if !console {
		return stderr, nil
	}

	return zerolog.ConsoleWriter{Out: stderr, TimeFormat: time.TimeOnly, NoColor: os.Getenv("NO_COLOR") != ""}, nil
}
