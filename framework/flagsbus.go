package framework

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/woodwork-go/woodwork/framework/bus/dial"
)

// The variables with a password; there is no flag, because other users of the machine can see command lines.
const (
	natsPassword  = "NATS_PASSWORD"
	redisPassword = "REDIS_PASSWORD"
)

func passwordEnv(kind dial.Kind) string {
	if kind == dial.Redis {
		return redisPassword
	}

	return natsPassword
}

// natsEnv are the names under which NATS users expect these flags in the environment.
func natsEnv(flagName string) string {
	return map[string]string{
		"server": "NATS_URL", "context": "NATS_CONTEXT", "creds": "NATS_CREDS", "user": "NATS_USER",
		"password-file": "NATS_PASSWORD_FILE", "nkey": "NATS_NKEY", "tlsca": "NATS_CA", "tlscert": "NATS_CERT",
		"tlskey": "NATS_KEY",
	}[flagName]
}

// choosesBus reports whether a flag says which bus; dial.Choose reads its variables.
func choosesBus(flagName string) bool {
	return slices.Contains([]string{"server", "url", "bus"}, flagName)
}

// natsFlags are settings that only NATS has.
func natsFlags() []string {
	return []string{"context", "creds", "nkey", "shards", "replicas", "synced"}
}

// serverFlags are settings that a bus in memory does not have.
func serverFlags() []string {
	return []string{"user", "password-file", "tlsca", "tlscert", "tlskey"}
}

// errNotOfBus: a flag has no meaning for the bus that was chosen.
var errNotOfBus = errors.New("the bus has no such setting")

// chooseBus finds out which bus is asked for, sets its URL, and refuses flags that it has no use for.
func (o *Options) chooseBus(fs *flag.FlagSet, env func(string) string) (dial.Kind, error) {
	target, err := dial.Choose(dial.Request{
		Server: o.Config.URL, Bus: o.bus, Context: o.Config.Context, Whole: o.Whole, Env: env,
	})
	if err != nil {
		return "", err //nolint:wrapcheck // it names the flag or the variable
	}

	o.Config.URL = target

	kind := dial.NATS
	if target != "" {
		kind, _ = dial.KindOf(target) // Choose has looked at it
	}

	given := givenFlags(fs)
	for _, name := range strange(kind) {
		if given[name] {
			return "", fmt.Errorf("-%s: %w: it is %s; leave the flag out", name, errNotOfBus, kind)
		}
	}

	return kind, nil
}

// strange returns the settings that a kind of bus does not have.
func strange(kind dial.Kind) []string {
	switch kind {
	case dial.Redis:
		return natsFlags()
	case dial.Memory:
		return append(natsFlags(), serverFlags()...)
	default:
		return nil
	}
}

// only hides from a bus what the environment has for others, above all their credentials. A password in a URL of Redis
// comes before the variable.
func only(kind dial.Kind, target string, env func(string) string) func(string) string {
	if kind == dial.NATS || kind == dial.Embedded {
		return env
	}

	hidden := map[string]bool{natsPassword: true, redisPassword: kind != dial.Redis || strings.Contains(target, "@")}
	for _, name := range append(natsFlags(), serverFlags()...) {
		hidden[natsEnv(name)] = true
	}

	for _, name := range strange(kind) {
		hidden[envName(name)] = true
	}

	return without(hidden, env)
}
