package dial

import (
	"errors"
	"fmt"
	"strings"
)

// Names in the environment that say which bus a program uses.
const (
	EnvServer   = "WOODWORK_SERVER"
	EnvBus      = "WOODWORK_MESSAGE_BUS"
	EnvRedis    = "WOODWORK_REDIS_URL"
	EnvStage    = "WOODWORK_ENV"
	envNATS     = "NATS_URL"
	envContext  = "NATS_CONTEXT"
	envOwnCtx   = "WOODWORK_CONTEXT"
	envAnyRedis = "REDIS_URL"
)

// Request is all that a program was told about its bus.
type Request struct {
	// Server is the URL on the command line.
	Server string
	// Bus is the word or URL on the command line that says which bus: what WOODWORK_MESSAGE_BUS may hold.
	Bus string
	// Context is the NATS context on the command line.
	Context string
	// Whole says that the whole pipeline runs in this process: only then may the bus be in memory, and a NATS bus
	// without an address is a server in this process.
	Whole bool
	// Env reads the environment.
	Env func(name string) string
}

// stage is a value of WOODWORK_ENV in short: what it asks for when nothing else does.
type stage string

const (
	unset       stage = ""
	development stage = "development"
	production  stage = "production"
	cloud       stage = "cloud"
)

func stages() map[string]stage {
	return map[string]stage{
		"": unset, "development": development, "dev": development,
		"production": production, "prod": production, "staging": production, "cloud": cloud,
	}
}

func words() map[string]Kind {
	return map[string]Kind{"": "", "auto": "", "nats": NATS, "redis": Redis, "memory": Memory, "in_memory": Memory}
}

// Choose returns the URL of the bus that a program was told to use, for [Open]; it is empty when a NATS context says
// where the servers are. The command line comes before the environment, there WOODWORK_SERVER and WOODWORK_MESSAGE_BUS
// before WOODWORK_REDIS_URL, that before NATS_URL, NATS_CONTEXT and REDIS_URL, and these before WOODWORK_ENV, which
// decides between them where both brokers have an address:
//
//	development, dev             a bus in memory where nothing has an address, else as if it were not set
//	production, prod, staging    REDIS_URL, else NATS_URL; one of them must be set
//	cloud                        NATS_URL, else REDIS_URL; one of them must be set
//	not set                      the only one that has an address; else, without any, NATS in this process or at
//	                             [DefaultURL]
//
// Where that leaves the choice open, where two settings contradict each other and where the program can't use what it
// was told to, it returns an error that says what to set. It never chooses a bus in the place of another.
func Choose(r Request) (string, error) {
	target, err := r.choose()
	if err != nil {
		return "", err
	}

	if kind, _ := KindOf(target); kind == Memory && !r.Whole {
		return "", fmt.Errorf("%w: it is within one process, and this is one of several%s; set %s or %s, or run everything in one: %s",
			errMemory, r.stageAsks(), envNATS, envAnyRedis, "woodwork up -bus memory")
	}

	return target, nil
}

// stageAsks says for a message that nothing else asked for memory.
func (r Request) stageAsks() string {
	if now, err := r.stage(); err != nil || now != development || r.Server != "" || r.Bus != "" {
		return ""
	}

	return " (" + EnvStage + "=" + r.Env(EnvStage) + " asks for memory where no broker has an address)"
}

// Mistakes in what a program was told.
var (
	errMemory    = errors.New("a bus in memory can't be used here")
	errTwo       = errors.New("two buses are asked for")
	errNoAddress = errors.New("no bus has an address")
	errWord      = errors.New("unknown value")
	errOther     = errors.New("another kind of bus")
)

func (r Request) choose() (string, error) {
	word, url, err := r.named("-server", r.Server, "-bus", r.Bus)
	if err != nil || url != "" {
		return url, err
	}

	if r.Context != "" {
		if word != "" && word != NATS {
			return "", fmt.Errorf("%w: -context is one of NATS, and -bus says %s; leave one out", errTwo, word)
		}

		return r.address(envNATS, NATS)
	}

	if word != "" {
		return r.kind(word, true)
	}

	word, url, err = r.named(EnvServer, r.Env(EnvServer), EnvBus, r.Env(EnvBus))
	if err != nil || url != "" {
		return url, err
	}

	if word != "" {
		return r.kind(word, false)
	}

	return r.automatic()
}

// named returns what one place says of the bus: a URL, or a kind, or neither.
func (r Request) named(serverName, server, busName, bus string) (word Kind, url string, err error) {
	if server != "" {
		if _, err := KindOf(server); err != nil {
			return "", "", fmt.Errorf("%s %s: %w", serverName, Redact(server), err)
		}
	}

	word, ok := words()[strings.ToLower(bus)]
	if !ok {
		if _, err := KindOf(bus); err != nil {
			return "", "", fmt.Errorf("%s %s: %w: write auto, nats, redis, memory or a URL: %w", busName, shown(bus), errWord, err)
		}

		if server != "" && server != bus {
			return "", "", fmt.Errorf("%w: by %s and by %s; leave one out", errTwo, serverName, busName)
		}

		return "", bus, nil
	}

	if kind, _ := KindOf(server); server != "" && word != "" && !fits(kind, word) {
		return "", "", fmt.Errorf("%w: %s is a URL of %s, and %s says %s; leave one out", errTwo, serverName, kind, busName, word)
	}

	return word, server, nil
}

// fits reports whether a bus of a kind is what a word asks for.
func fits(kind, word Kind) bool { return kind == word || kind == Embedded && word == NATS }

// shown returns a value that may be a word or a URL for a message.
func shown(value string) string {
	if strings.ContainsAny(value, ":@") {
		return Redact(value)
	}

	return fmt.Sprintf("%.40q", value)
}
