package embedded

import (
	"errors"
	"math"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
)

// Config says how a server runs. The zero value is a server without a listener whose data ends with it.
type Config struct {
	// Dir is the data directory. It is made, for this user alone, when it isn't there, and survives Close. Defaults to
	// a temporary directory that Close removes.
	Dir string
	// Listen is the TCP address for clients as "host:port"; port 0 or -1 takes a free one, an empty host means all
	// interfaces. Without File the server asks for no credentials, so prefer a loopback address. Defaults to no listener.
	Listen string
	// SyncAlways syncs each write to disk before it is acknowledged, so that it survives the loss of power. Defaults
	// to false: an acknowledged write survives the end of the process, and is synced every two minutes.
	SyncAlways bool
	// MaxPayload is the largest message in bytes, headers included. Defaults to the server's own 1 MiB.
	MaxPayload int
	// File is the path of a nats-server configuration file, with the users, accounts, TLS, limits and whatever else the
	// server knows. The fields above that are set win over it. Where to listen, the data directory and the log are
	// never taken from it, and JetStream runs unless it says "jetstream: disabled". Defaults to none.
	File string
	// Logger receives the server's log: notices at debug level, warnings and errors at theirs, never content of
	// messages. Defaults to none.
	Logger zerolog.Logger
}

// options translates the settings for a server that keeps its data in dir and listens on at. Base is what holds where
// the settings say nothing.
func (c Config) options(base *server.Options, dir string, at address) *server.Options {
	base.StoreDir = dir
	base.SyncAlways = base.SyncAlways || c.SyncAlways
	base.Host, base.Port, base.DontListen = at.host, at.port, !at.tcp
	base.NoLog, base.NoSigs = true, true

	if c.MaxPayload > 0 {
		base.MaxPayload = int32(min(c.MaxPayload, math.MaxInt32))
	}

	return base
}

// baseOptions returns what holds where a Config says nothing: JetStream, and what the configuration file says, if one
// is named.
func baseOptions(file string) (*server.Options, error) {
	base := &server.Options{JetStream: true}
	if file == "" {
		return base, nil
	}

	if err := base.ProcessConfigFile(file); err != nil && !onlyWarnings(err) {
		return nil, badFile(file, err)
	}

	return base, nil
}

// onlyWarnings reports whether what the server says of a configuration file does not keep it from starting.
func onlyWarnings(err error) bool {
	var found interface{ Errors() []error }

	return errors.As(err, &found) && len(found.Errors()) == 0
}

// badFile puts the errors of a configuration file, of which the server writes each on a line of its own, on one line.
func badFile(file string, err error) error {
	text := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")

	return &StartError{Subject: file, Err: &serverError{text: text, err: err}, Hint: "correct the configuration file"}
}
