package framework

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// parsed parses a command line as a service with one flag of its own does.
func parsed(t *testing.T, env map[string]string, args ...string) (*Options, *string, error) {
	t.Helper()

	var o Options

	fs := flag.NewFlagSet("svc", flag.ContinueOnError)
	o.Register(fs)

	own := fs.String("some-name", "fallback", "a flag of the service")
	err := o.Parse(fs, args, func(k string) string { return env[k] }, io.Discard)

	return &o, own, err
}

func TestFlagsComeBeforeTheEnvironment(t *testing.T) {
	t.Parallel()

	env := map[string]string{
		"NATS_URL": "nats://env:1", "NATS_CREDS": "env.creds", "WOODWORK_SOME_NAME": "env", "WOODWORK_DRAIN": "7s",
		"NATS_PASSWORD": "secret", "WOODWORK_TO": "a,b",
	}

	o, own, err := parsed(t, env, "-server", "nats://flag:1", "--drain=3s")
	if err != nil {
		t.Fatal(err)
	}

	got := []string{o.Config.URL, o.Config.Creds, *own, o.Config.Drain.String(), o.Config.Password, strings.Join(o.To, "+")}
	want := []string{"nats://flag:1", "env.creds", "env", (3 * time.Second).String(), "secret", "a+b"}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestTheProjectsOwnVariableComesBeforeTheOneOfNATS(t *testing.T) {
	t.Parallel()

	o, _, err := parsed(t, map[string]string{"NATS_URL": "nats://a:1", "WOODWORK_SERVER": "nats://b:1"})
	if err != nil || o.Config.URL != "nats://b:1" {
		t.Errorf("server %q, %v; want nats://b:1", o.Config.URL, err)
	}
}

func TestThePasswordCanBeInAFile(t *testing.T) {
	t.Parallel()

	file := filepath.Join(t.TempDir(), "password")
	for _, want := range []string{"secret", " two words ", ""} {
		text := want + "\r\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}

		o, _, err := parsed(t, map[string]string{"NATS_PASSWORD_FILE": file, "NATS_PASSWORD": "another"})
		if o.Config.Password != want || (err != nil) != (want == "") {
			t.Errorf("password %q, %v; want %q, and an error when there is none", o.Config.Password, err, want)
		}
	}
}

// TestCredentialsOnTheCommandLineHideThoseOfTheEnvironment looks at who a process says that it is.
func TestCredentialsOnTheCommandLineHideThoseOfTheEnvironment(t *testing.T) {
	t.Parallel()

	env := map[string]string{
		"NATS_URL": "nats://env:1", "NATS_USER": "ann", "NATS_PASSWORD": "secret", "WOODWORK_NKEY": "env.nk", "NATS_CREDS": "env.creds",
	}

	type who struct{ URL, User, Password, Creds, NKey string }

	for name, c := range map[string]struct {
		args []string
		want who
	}{
		"none":     {nil, who{"nats://env:1", "ann", "secret", "env.creds", "env.nk"}},
		"server":   {[]string{"-server", "nats://flag:1"}, who{"nats://flag:1", "ann", "secret", "env.creds", "env.nk"}},
		"user":     {[]string{"-user", "bob"}, who{"nats://env:1", "bob", "secret", "", ""}},
		"creds":    {[]string{"-creds", "f"}, who{"nats://env:1", "", "", "f", ""}},
		"nkey":     {[]string{"-nkey", "f"}, who{"nats://env:1", "", "", "", "f"}},
		"URL":      {[]string{"-server", "nats://a:b@flag:1"}, who{"nats://a:b@flag:1", "", "", "", ""}},
		"two":      {[]string{"-nkey", "f", "-user", "bob"}, who{"nats://env:1", "bob", "secret", "", "f"}},
		"an other": {[]string{"-tlsca", "f"}, who{"nats://env:1", "ann", "secret", "env.creds", "env.nk"}},
	} {
		o, _, err := parsed(t, env, c.args...)
		if err != nil {
			t.Fatal(err)
		}

		k := o.Config
		if diff := cmp.Diff(c.want, who{k.URL, k.User, k.Password, k.Creds, k.NKey}); diff != "" {
			t.Errorf("%s on the command line (-want +got):\n%s", name, diff)
		}
	}
}

func TestAUserAloneIsAToken(t *testing.T) {
	t.Parallel()

	alone, named := Config{User: "s3cret"}, Config{User: "ann", Password: "s3cret"}
	if n := alone.natsConfig(); n.Token != "s3cret" || n.User != "" {
		t.Errorf("user alone: token %q, user %q", n.Token, n.User)
	}

	if n := named.natsConfig(); n.Token != "" || n.User != "ann" || n.Password != "s3cret" {
		t.Errorf("user and password: token %q, user %q", n.Token, n.User)
	}
}

func TestMistakesAreUsageErrors(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		env  map[string]string
		args []string
		says string
	}{
		"flag":       {nil, []string{"-nope"}, "-nope"},
		"value":      {nil, []string{"-shards", "many"}, "shards"},
		"variable":   {map[string]string{"WOODWORK_SHARDS": "many"}, nil, "WOODWORK_SHARDS"},
		"target":     {nil, []string{"-to", "a b"}, `"a b"`},
		"log level":  {nil, []string{"-log-level", "loud"}, "loud"},
		"log format": {nil, []string{"-log-format", "xml"}, "xml"},
		"file":       {nil, []string{"-password-file", "/nowhere"}, "/nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, _, err := parsed(t, c.env, c.args...)

			if _, ok := errors.AsType[*UsageError](err); !ok || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want a usage error that says %s", err, c.says)
			}
		})
	}
}

func TestTheLogIsJSONWhereNobodyLooks(t *testing.T) {
	t.Parallel()

	var (
		o   Options
		out strings.Builder
	)

	fs := flag.NewFlagSet("svc", flag.ContinueOnError)
	o.Register(fs)

	if err := o.Parse(fs, []string{"-log-level", "warn"}, func(string) string { return "" }, &out); err != nil {
		t.Fatal(err)
	}

	o.Config.Logger.Info().Msg("quiet")
	o.Config.Logger.Warn().Msg("loud")

	if log := out.String(); !strings.HasPrefix(log, "{") || strings.Contains(log, "quiet") || !strings.Contains(log, "loud") {
		t.Errorf("log %q, want one line of JSON with the warning", log)
	}

	if level := o.Config.Logger.GetLevel(); level != zerolog.WarnLevel {
		t.Errorf("level %v, want warn", level)
	}
}

func TestHelpIsNotAFailure(t *testing.T) {
	t.Parallel()

	var help strings.Builder

	s := Service{Name: "svc", Flags: func(fs *flag.FlagSet) { fs.Bool("own", false, "the service's own") }}
	if code := mainCode(s, []string{"svc", "-h"}, func(string) string { return "" }, &help); code != ExitOK {
		t.Errorf("exit code %d, want %d", code, ExitOK)
	}

	if !strings.Contains(help.String(), "-own") || !strings.Contains(help.String(), "NATS_URL") {
		t.Errorf("help:\n%s", help.String())
	}
}
