package framework

import (
	"errors"
	"flag"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheBusIsChosenByFlagsAndEnvironment(t *testing.T) {
	t.Parallel()

	type env = map[string]string

	for _, c := range []struct {
		env  env
		args []string
		want string
	}{
		{nil, nil, "nats://127.0.0.1:4222"},
		{env{"REDIS_URL": "redis://r"}, nil, "redis://r"},
		{env{"REDIS_URL": "redis://r"}, []string{"-url", "nats://n"}, "nats://n"},
		{env{"NATS_URL": "nats://n"}, []string{"-bus", "redis://r"}, "redis://r"},
		{env{"NATS_URL": "nats://n", "REDIS_URL": "redis://r", "WOODWORK_MESSAGE_BUS": "redis"}, nil, "redis://r"},
		{env{"NATS_URL": "nats://n", "WOODWORK_ENV": "cloud"}, nil, "nats://n"},
		{env{"NATS_URL": "nats://n", "WOODWORK_SHARDS": "3"}, []string{"-context", "c"}, "nats://n"},
	} {
		o, _, err := parsed(t, c.env, c.args...)
		if err != nil || o.Config.URL != c.want {
			t.Errorf("%v, %v: bus %q, %v; want %q", c.env, c.args, o.Config.URL, err, c.want)
		}
	}
}

// TestCredentialsGoToTheirBrokerOnly looks at what would be sent to a broker.
func TestCredentialsGoToTheirBrokerOnly(t *testing.T) {
	t.Parallel()

	env := map[string]string{
		"NATS_USER": "ann", "NATS_PASSWORD": "for-nats", "NATS_CREDS": "f.creds", "NATS_CA": "nats.pem", "WOODWORK_NKEY": "f.nk",
		"NATS_CONTEXT": "ctx", "WOODWORK_SHARDS": "7", "REDIS_PASSWORD": "for-redis",
	}

	type sent struct {
		User, Password, Creds, CA, NKey, Context string
		Shards                                   int
	}

	toNATS := sent{"ann", "for-nats", "f.creds", "nats.pem", "f.nk", "ctx", 7}

	for _, c := range []struct {
		args []string
		want sent
	}{
		{[]string{"-server", "nats://n"}, toNATS},
		{[]string{"-server", "embedded:"}, toNATS},
		{[]string{"-server", "redis://r"}, sent{Password: "for-redis"}},
		{[]string{"-server", "redis://u:p@r"}, sent{}},
		{[]string{"-server", "redis://r", "-user", "bob", "-tlsca", "r.pem"}, sent{User: "bob", Password: "for-redis", CA: "r.pem"}},
		{[]string{"-bus", "memory"}, sent{}},
	} {
		o := Options{Whole: true}
		fs := flag.NewFlagSet("svc", flag.ContinueOnError)
		o.Register(fs)

		if err := o.Parse(fs, c.args, func(k string) string { return env[k] }, io.Discard); err != nil {
			t.Fatalf("%v: %v", c.args, err)
		}

		k := o.Config
		got := sent{k.User, k.Password, k.Creds, k.CA, k.NKey, k.Context, k.Shards}

		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.args, diff)
		}
	}
}

func TestSettingsOfAnotherBusAreMistakes(t *testing.T) {
	t.Parallel()

	for says, args := range map[string][]string{
		"-creds: the bus has no such setting: it is redis": {"-url", "redis://r", "-creds", "f"},
		"-shards": {"-url", "rediss://r", "-shards", "4"},
		"-user: the bus has no such setting: it is memory": {"-bus", "memory", "-user", "ann"},
		"-server is a URL of redis, and -bus says nats":    {"-bus", "nats", "-url", "redis://r"},
	} {
		o := Options{Whole: true}
		fs := flag.NewFlagSet("svc", flag.ContinueOnError)
		o.Register(fs)

		err := o.Parse(fs, args, func(string) string { return "" }, io.Discard)
		if _, ok := errors.AsType[*UsageError](err); !ok || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: %v; want a usage error that says %q", args, err, says)
		}
	}
}

func TestABusInMemoryIsForOneProcess(t *testing.T) {
	t.Parallel()

	for _, env := range []map[string]string{{"WOODWORK_MESSAGE_BUS": "memory"}, {"WOODWORK_ENV": "dev"}} {
		_, _, err := parsed(t, env)
		if _, ok := errors.AsType[*UsageError](err); !ok || !strings.Contains(err.Error(), "woodwork up -bus memory") {
			t.Errorf("%v: %v; want a usage error that says what to do", env, err)
		}
	}
}
