// Package dial opens a bus by its URL. It is the one place that knows every adapter.
//
// A program first decides which bus it was told to use, with [Choose], and then opens it, with [Open]. Neither ever puts
// another bus in its place: what was asked for and can't be had is an error.
//
// File map: dial.go opens; kind.go what a URL asks for; choose.go what a program was told, environment.go as far as its
// environment says it; memory.go the brokers of memory: URLs.
package dial

import (
	"context"
	"errors"
	"strings"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
	"github.com/woodwork-go/woodwork/framework/bus/redisbus"
)

// DefaultURL is where a bus is looked for when nothing says otherwise.
const DefaultURL = "nats://127.0.0.1:4222"

// Config holds the settings of every adapter; Open uses those of the one that the URL chooses.
type Config struct {
	// NATS are the settings of a bus on JetStream; its URL is set by Open. Defaults to those of natsbus.
	NATS natsbus.Config
	// Redis are the settings of a bus on Redis; its URL is set by Open. Defaults to those of redisbus.
	Redis redisbus.Config
	// Brokers are where memory: URLs find their data: whatever is to share a bus in this process is opened with the same
	// Brokers. Defaults to none, and such URLs are an error.
	Brokers *Brokers
	// Embedded returns the server in this process that keeps its data in dir, and starts it if it doesn't run; whoever
	// provides Embedded ends it. An empty dir leaves the choice to it. It may be called concurrently. Defaults to none,
	// and embedded: URLs are an error: a server is linked only into programs that want one.
	Embedded func(ctx context.Context, dir string) (natsbus.InProcess, error)
}

// What this program can't open, though others can.
var (
	errNoBrokers  = errors.New("this process has no bus in memory")
	errNoEmbedded = errors.New("this program has no embedded server")
)

// Open opens the bus at a URL, whose scheme chooses the adapter:
//
//	nats: tls: ws: wss:           NATS JetStream; several servers of one cluster are separated by commas
//	redis: rediss: unix:          Redis
//	redis+sentinel: rediss+...    Redis behind sentinels
//	memory:NAME                   in this process; see [Brokers]
//	embedded:DIR                  NATS JetStream in this process, with its data in DIR
//
// An empty URL leaves the choice to a NATS context where one is selected, else it is [DefaultURL].
//
// It returns a [bus.DialError] with the URL and the reason when the bus can't be opened, and never opens another one
// instead.
func Open(ctx context.Context, target string, cfg Config) (bus.Bus, error) {
	if target == "" {
		return openNATS(ctx, target, cfg)
	}

	kind, err := KindOf(target)
	if err != nil {
		return nil, &bus.DialError{URL: Redact(target), Err: err}
	}

	switch kind {
	case Redis:
		cfg.Redis.URL = target

		b, err := redisbus.Open(ctx, cfg.Redis)
		if err != nil {
			return nil, err // not b: a nil in an interface is none
		}

		return b, nil
	case Memory:
		return openMemory(target, cfg)
	case Embedded:
		return openEmbedded(ctx, target, cfg)
	default:
		return openNATS(ctx, target, cfg)
	}
}

func openNATS(ctx context.Context, target string, cfg Config) (bus.Bus, error) {
	if target == "" && cfg.NATS.Context == "" {
		target = DefaultURL
	}

	cfg.NATS.URL = target

	b, err := natsbus.Open(ctx, cfg.NATS)
	if err != nil {
		return nil, err // not b: a nil in an interface is none
	}

	return b, nil
}

func openMemory(target string, cfg Config) (bus.Bus, error) {
	if cfg.Brokers == nil {
		return nil, &bus.DialError{
			URL: target, Err: errNoBrokers, Hint: "set Config.Brokers in a program that holds the whole pipeline, or use a server",
		}
	}

	return cfg.Brokers.broker(strings.TrimPrefix(target, "memory:")).Open(), nil
}

func openEmbedded(ctx context.Context, target string, cfg Config) (bus.Bus, error) {
	if cfg.Embedded == nil {
		return nil, &bus.DialError{
			URL: target, Err: errNoEmbedded, Hint: `use the one of "woodwork up", or set Config.Embedded to a function that starts one`,
		}
	}

	server, err := cfg.Embedded(ctx, strings.TrimPrefix(target, "embedded:"))
	if err != nil {
		return nil, &bus.DialError{URL: strings.TrimSuffix(target, ":"), Err: err}
	}

	cfg.NATS.InProcess, cfg.NATS.Context = server, ""

	return openNATS(ctx, "", cfg)
}

// Redact returns a URL without what may be credentials, also when it is malformed.
func Redact(target string) string {
	scheme, rest, found := strings.Cut(target, "://")
	if !found {
		return "(unreadable)"
	}

	return scheme + "://" + rest[strings.LastIndexByte(rest, '@')+1:]
}
