package dial_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/woodwork-go/woodwork/framework/bus/dial"
)

// What each place says in the tests, where it says anything: all differ.
const (
	natsFlag, redisFlag         = "nats://flag:1", "rediss://flag:2"
	natsServer, redisServer     = "tls://server:1", "redis+sentinel://server:2/m"
	natsURL, redisURL, ownRedis = "nats://env:1,nats://env:2", "redis://env:3", "unix:///own.sock"
)

// settings is an environment, written as words: NATS=… is NATS_URL=… and so on.
type settings map[string]string

func (s settings) get(name string) string { return s[name] }

// TestChoose is the table of docs/configuration.md, and of what contradicts itself.
func TestChoose(t *testing.T) {
	t.Parallel()

	const one, whole = false, true

	type env = settings

	for _, c := range []struct {
		r     dial.Request
		whole bool
		env   env
		want  string // a URL, or what the error says
	}{
		// Nothing is said.
		{dial.Request{}, one, nil, dial.DefaultURL},
		{dial.Request{}, whole, nil, "embedded:"},
		// The command line decides.
		{
			dial.Request{Server: natsFlag},
			one,
			env{"REDIS_URL": redisURL, "WOODWORK_MESSAGE_BUS": "redis", "WOODWORK_ENV": "production"},
			natsFlag,
		},
		{dial.Request{Server: redisFlag}, one, env{"NATS_URL": natsURL, "WOODWORK_SERVER": natsServer}, redisFlag},
		{dial.Request{Server: "embedded:d"}, whole, env{"NATS_URL": natsURL}, "embedded:d"},
		{dial.Request{Server: redisFlag, Bus: "redis"}, one, nil, redisFlag},
		{
			dial.Request{Server: redisFlag, Bus: "nats"},
			one, nil,
			"error: two buses are asked for: -server is a URL of redis, and -bus says nats; leave one out",
		},
		{
			dial.Request{Server: redisFlag, Bus: natsFlag},
			one, nil,
			"error: two buses are asked for: by -server and by -bus; leave one out",
		},
		{dial.Request{Bus: redisFlag}, one, env{"NATS_URL": natsURL}, redisFlag},
		{dial.Request{Bus: "nats"}, whole, env{"REDIS_URL": redisURL}, "embedded:"},
		{dial.Request{Bus: "nats"}, whole, env{"NATS_URL": natsURL}, natsURL},
		{dial.Request{Bus: "nats"}, one, env{"WOODWORK_SERVER": natsServer}, natsServer},
		{
			dial.Request{Bus: "nats"},
			one,
			env{"WOODWORK_SERVER": redisServer, "WOODWORK_MESSAGE_BUS": "redis"},
			dial.DefaultURL,
		},
		{dial.Request{Bus: "memory"}, whole, env{"NATS_URL": natsURL, "WOODWORK_ENV": "production"}, "memory:"},
		{
			dial.Request{Bus: "memory"},
			one, nil,
			"error: a bus in memory can't be used here: it is within one process",
		},
		{dial.Request{Context: "c"}, one, env{"REDIS_URL": redisURL, "WOODWORK_MESSAGE_BUS": "redis"}, ""},
		{dial.Request{Context: "c"}, one, env{"NATS_URL": natsURL}, natsURL},
		{
			dial.Request{Context: "c", Bus: "redis"},
			one, nil,
			"error: two buses are asked for: -context is one of NATS, and -bus says redis",
		},
		// The project's own variables.
		{
			dial.Request{},
			one,
			env{"WOODWORK_SERVER": natsServer, "NATS_URL": natsURL, "REDIS_URL": redisURL},
			natsServer,
		},
		{dial.Request{}, one, env{"WOODWORK_MESSAGE_BUS": redisServer, "NATS_URL": natsURL}, redisServer},
		{
			dial.Request{},
			one,
			env{"WOODWORK_SERVER": natsServer, "WOODWORK_MESSAGE_BUS": "redis"},
			"error: two buses are asked for: WOODWORK_SERVER is a URL of nats",
		},
		{
			dial.Request{},
			one,
			env{"WOODWORK_MESSAGE_BUS": "redis", "REDIS_URL": redisURL, "NATS_URL": natsURL},
			redisURL,
		},
		{
			dial.Request{},
			one,
			env{"WOODWORK_MESSAGE_BUS": "redis", "WOODWORK_REDIS_URL": ownRedis, "REDIS_URL": redisURL},
			ownRedis,
		},
		{
			dial.Request{},
			whole,
			env{"WOODWORK_MESSAGE_BUS": "redis", "NATS_URL": natsURL},
			"error: no bus has an address: redis is asked for; set WOODWORK_REDIS_URL or REDIS_URL",
		},
		{dial.Request{}, one, env{"WOODWORK_MESSAGE_BUS": "NATS", "REDIS_URL": redisURL}, dial.DefaultURL},
		{dial.Request{}, one, env{"WOODWORK_MESSAGE_BUS": "nats", "NATS_CONTEXT": "c"}, ""},
		{
			dial.Request{},
			one,
			env{"WOODWORK_MESSAGE_BUS": "nats", "WOODWORK_ENV": "prod"},
			"error: no bus has an address: WOODWORK_ENV=prod needs one; set NATS_URL or REDIS_URL",
		},
		{dial.Request{}, whole, env{"WOODWORK_MESSAGE_BUS": "in_memory", "NATS_URL": natsURL}, "memory:"},
		{dial.Request{}, one, env{"WOODWORK_MESSAGE_BUS": "memory"}, "error: a bus in memory can't be used here"},
		{
			dial.Request{},
			one,
			env{"WOODWORK_MESSAGE_BUS": "kafka"},
			`error: WOODWORK_MESSAGE_BUS "kafka": unknown value: write auto, nats, redis, memory or a URL`,
		},
		{dial.Request{}, one, env{"WOODWORK_REDIS_URL": ownRedis, "NATS_URL": natsURL}, ownRedis},
		// The variables that others share.
		{dial.Request{}, one, env{"NATS_URL": natsURL}, natsURL},
		{dial.Request{}, one, env{"NATS_CONTEXT": "c"}, ""},
		{dial.Request{}, one, env{"WOODWORK_CONTEXT": "c"}, ""},
		{dial.Request{}, one, env{"REDIS_URL": redisURL}, redisURL},
		{
			dial.Request{},
			one,
			env{"REDIS_URL": natsURL},
			"error: environment variable REDIS_URL: another kind of bus: the URL is one of nats",
		},
		{
			dial.Request{},
			one,
			env{"NATS_URL": "http://u:secret@h"},
			`error: environment variable NATS_URL: http://h: scheme "http": no bus for this kind of URL`,
		},
		{
			dial.Request{},
			one,
			env{"NATS_URL": natsURL, "REDIS_URL": redisURL},
			"error: two buses are asked for: NATS and REDIS_URL both have an address; set WOODWORK_MESSAGE_BUS",
		},
		// The stage.
		{dial.Request{}, whole, env{"WOODWORK_ENV": "dev"}, "memory:"},
		{
			dial.Request{},
			one,
			env{"WOODWORK_ENV": "development"},
			"error: a bus in memory can't be used here: it is within one process, and this is one of several (WOODWORK_ENV=dev",
		},
		{dial.Request{}, one, env{"WOODWORK_ENV": "development", "NATS_URL": natsURL}, natsURL},
		{
			dial.Request{},
			one,
			env{"WOODWORK_ENV": "dev", "NATS_URL": natsURL, "REDIS_URL": redisURL},
			"error: two buses are asked for",
		},
		{
			dial.Request{},
			whole,
			env{"WOODWORK_ENV": "production"},
			"error: no bus has an address: WOODWORK_ENV=production needs one; set NATS_URL or REDIS_URL",
		},
		{dial.Request{}, one, env{"WOODWORK_ENV": "Production", "NATS_URL": natsURL}, natsURL},
		{dial.Request{}, one, env{"WOODWORK_ENV": "staging", "NATS_URL": natsURL, "REDIS_URL": redisURL}, redisURL},
		{dial.Request{}, one, env{"WOODWORK_ENV": "cloud", "NATS_URL": natsURL, "REDIS_URL": redisURL}, natsURL},
		{dial.Request{}, one, env{"WOODWORK_ENV": "cloud", "REDIS_URL": redisURL}, redisURL},
		{
			dial.Request{},
			one,
			env{"WOODWORK_ENV": "cloud"},
			"error: no bus has an address: WOODWORK_ENV=cloud needs one",
		},
		{
			dial.Request{},
			one,
			env{"WOODWORK_ENV": "prodution", "NATS_URL": natsURL},
			`error: environment variable WOODWORK_ENV: unknown value "prodution"`,
		},
	} {
		c.r.Whole, c.r.Env = c.whole, c.env.get

		got, err := dial.Choose(c.r)
		if err != nil {
			got = "error: " + err.Error()
		}

		if got != c.want && (err == nil || !strings.HasPrefix(got, c.want)) || strings.Contains(got, "secret") {
			t.Errorf("%s:\n got %s\nwant %s", describe(c.r), got, c.want)
		}
	}
}

// TestChooseNothingThatWasNotAskedFor goes through all combinations.
func TestChooseNothingThatWasNotAskedFor(t *testing.T) {
	t.Parallel()

	chosen := map[dial.Kind]int{}

	for r := range requests() {
		got, err := dial.Choose(r)
		if err != nil {
			continue
		}

		kind := dial.NATS
		if got != "" {
			if kind, err = dial.KindOf(got); err != nil {
				t.Fatalf("%s: chose %q: %v", describe(r), got, err)
			}
		}

		chosen[kind]++

		if why := unasked(r, kind, got); why != "" {
			t.Fatalf("%s: chose %q, %s", describe(r), got, why)
		}
	}

	for _, kind := range []dial.Kind{dial.NATS, dial.Redis, dial.Memory, dial.Embedded} {
		if chosen[kind] == 0 {
			t.Errorf("%s was never chosen", kind)
		}
	}
}

// unasked says why a choice is not what was asked for, or nothing.
func unasked(r dial.Request, kind dial.Kind, got string) string {
	env := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return r.Env(n) != "" })
	}
	named := r.Bus + r.Env("WOODWORK_MESSAGE_BUS")
	addressed := env("WOODWORK_SERVER", "WOODWORK_REDIS_URL", "NATS_URL", "NATS_CONTEXT", "REDIS_URL")
	said := slices.Contains([]string{
		r.Server, r.Bus, r.Env("WOODWORK_SERVER"), r.Env("WOODWORK_REDIS_URL"), r.Env("NATS_URL"), r.Env("REDIS_URL"),
	}, got) && got != ""
	deployed := !slices.Contains([]string{"", "dev"}, r.Env("WOODWORK_ENV"))

	switch {
	case r.Server != "" && got != r.Server:
		return "not the URL on the command line"
	case said:
		return ""
	case r.Server != "" || strings.Contains(r.Bus, "//") || kind == dial.Redis:
		return "a URL that nobody gave"
	case kind == dial.Memory && !r.Whole:
		return "a bus in memory for one process of several"
	case kind == dial.Memory && !strings.Contains(named, "memory") && (addressed || r.Env("WOODWORK_ENV") != "dev"):
		return "a bus in memory that nobody asked for"
	case got == "" && r.Context == "" && !env("NATS_CONTEXT"):
		return "a context that nobody selected"
	case kind == dial.Embedded && !r.Whole:
		return "a server in a service"
	case kind == dial.Embedded || got == dial.DefaultURL:
		if deployed || addressed && !strings.Contains(named, "nats") {
			return "an address that nobody gave"
		}
	}

	return ""
}

func describe(r dial.Request) string {
	var b strings.Builder

	fmt.Fprintf(&b, "-server %q -bus %q -context %q, whole %v", r.Server, r.Bus, r.Context, r.Whole)

	for _, name := range []string{
		"WOODWORK_SERVER", "WOODWORK_MESSAGE_BUS", "WOODWORK_REDIS_URL", "NATS_URL", "NATS_CONTEXT", "REDIS_URL", "WOODWORK_ENV",
	} {
		fmt.Fprintf(&b, " %s=%s", name, r.Env(name))
	}

	return b.String()
}

// requests yields every combination of what each place may say.
func requests() func(yield func(dial.Request) bool) {
	places := [][]string{
		{"", natsFlag, redisFlag, "memory:"},
		{"", "auto", "nats", "redis", "memory", "redis://bus:6"},
		{"", "ctx"},
		{"", "whole"},
		{"", natsServer, redisServer},
		{"", "auto", "nats", "redis", "in_memory"},
		{"", ownRedis},
		{"", natsURL},
		{"", "ctx"},
		{"", redisURL},
		{"", "dev", "production", "cloud"},
	}

	return func(yield func(dial.Request) bool) {
		total := 1
		for _, p := range places {
			total *= len(p)
		}

		for n := range total {
			said := make([]string, len(places))
			for i, p := range places {
				said[i] = p[n%len(p)]
				n /= len(p)
			}

			env := settings{
				"WOODWORK_SERVER": said[4], "WOODWORK_MESSAGE_BUS": said[5], "WOODWORK_REDIS_URL": said[6], "NATS_URL": said[7],
				"NATS_CONTEXT": said[8], "REDIS_URL": said[9], "WOODWORK_ENV": said[10],
			}
			if !yield(dial.Request{Server: said[0], Bus: said[1], Context: said[2], Whole: said[3] != "", Env: env.get}) {
				return
			}
		}
	}
}
