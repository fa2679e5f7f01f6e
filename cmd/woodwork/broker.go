package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/embedded"
	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
)

// defaultListen is where other programs find the embedded broker: the port that NATS clients try by themselves.
const defaultListen = "127.0.0.1:4222"

// broker says where the bus is: in this process, or where the settings point.
type broker struct {
	listen, data string
	server       *embedded.Server
}

func (b *broker) register(fs *flag.FlagSet) {
	fs.StringVar(&b.listen, "listen", defaultListen, "`address` of the embedded broker; port 0 takes a free one")
	fs.StringVar(&b.data, "data", "", "`directory` of the embedded broker (default: in the user's state directory)")
}

// start starts the embedded broker, unless cfg names one elsewhere, and points cfg to it.
func (b *broker) start(ctx context.Context, cfg *framework.Config, env func(string) string) error {
	if cfg.URL != "" || cfg.Context != "" {
		return nil
	}

	if b.data == "" {
		dir, err := stateDir(env)
		if err != nil {
			return err
		}

		b.data = filepath.Join(dir, "jetstream")
	}

	server, err := embedded.Start(ctx, embedded.Config{
		Dir: b.data, Listen: b.listen, Logger: cfg.Logger.Level(max(cfg.Logger.GetLevel(), zerolog.ErrorLevel)),
	})
	if errors.Is(err, embedded.ErrPortTaken) {
		return fmt.Errorf("%w; or use the broker that is there: -server nats://%s", err, b.listen)
	}

	if err != nil {
		return err
	}

	b.server = server
	cfg.URL = server.URL()

	return nil
}

// dialer is what a connection within this process uses instead of the URL; nil for a broker elsewhere.
func (b *broker) dialer() interface{ InProcessConn() (net.Conn, error) } {
	if b.server == nil {
		return nil
	}

	return b.server
}

// info adds to what a connection says of the bus the URL at which other programs find it.
func (b *broker) info(i bus.Info) bus.Info {
	if b.server != nil && b.server.URL() != "" {
		i.URL = b.server.URL()
	}

	return i
}

// String says for the start-up line where the broker is.
func (b *broker) String() string {
	if b.server == nil {
		return "remote"
	}

	return "embedded, data in " + b.data
}

func (b *broker) close() error {
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
