package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/embedded"
	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/dial"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
)

// defaultListen is where other programs find the embedded broker: the port that NATS clients try by themselves.
const defaultListen = "127.0.0.1:4222"

// broker is the broker within this process, if there is one.
type broker struct {
	listen, data string
	logger       zerolog.Logger
	env          func(string) string

	mu     sync.Mutex
	server *embedded.Server
}

func (b *broker) register(fs *flag.FlagSet) {
	fs.StringVar(&b.listen, "listen", defaultListen, "`address` of the embedded broker; port 0 takes a free one")
	fs.StringVar(&b.data, "data", "", "`directory` of the embedded broker (default: in the user's state directory)")
}

// provide lets the bus that cfg names be within this process: in memory, or on an embedded server, which is started when
// the bus is opened first.
func (b *broker) provide(cfg *framework.Config, env func(string) string) {
	b.logger, b.env = cfg.Logger.Level(max(cfg.Logger.GetLevel(), zerolog.ErrorLevel)), env
	cfg.Brokers, cfg.Embedded = new(dial.Brokers), b.open
}

// open returns the embedded server. dir is from the URL and comes before -data.
func (b *broker) open(ctx context.Context, dir string) (natsbus.InProcess, error) { //nolint:ireturn // as Config.Embedded
	b.mu.Lock()
	defer b.mu.Unlock()

	if b.server != nil {
		return b.server, nil
	}

	if b.data = cmp.Or(dir, b.data); b.data == "" {
		state, err := stateDir(b.env)
		if err != nil {
			return nil, err
		}

		b.data = filepath.Join(state, "jetstream")
	}

	server, err := embedded.Start(ctx, embedded.Config{Dir: b.data, Listen: b.listen, Logger: b.logger})
	if errors.Is(err, embedded.ErrPortTaken) {
		return nil, fmt.Errorf("%w; or use the broker that is there: -server nats://%s", err, b.listen)
	}

	if err != nil {
		return nil, err
	}

	b.server = server

	return server, nil
}

// info adds to what a connection says of the bus the URL at which other programs find it.
func (b *broker) info(i bus.Info) bus.Info {
	b.mu.Lock()
	defer b.mu.Unlock()

	if b.server != nil && b.server.URL() != "" {
		i.URL = b.server.URL()
	}

	return i
}

// place says for the start-up line where a bus is.
func (b *broker) place(kind string) string {
	b.mu.Lock()
	defer b.mu.Unlock()

	switch {
	case b.server != nil:
		return "embedded, data in " + b.data
	case kind == string(dial.Memory):
		return "in this process only"
	default:
		return "remote"
	}
}

func (b *broker) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()

	if b.server == nil {
		return nil
	}

	return b.server.Close()
}

// stateDir is where programs keep state for a user, after the XDG Base Directory Specification.
func stateDir(env func(string) string) (string, error) {
	if dir := env("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "woodwork"), nil
	}

	home, err := os.UserHomeDir()
	if err != nil {
		return "", &framework.UsageError{Err: fmt.Errorf("find a data directory: %w; set -data", err)}
	}

	return filepath.Join(home, ".local", "state", "woodwork"), nil
}
