package dial

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/woodwork-go/woodwork/subjects"
)

// Kind is a technology that carries a bus.
type Kind string

// The kinds of bus. Embedded is NATS in this process.
const (
	NATS     Kind = "nats"
	Redis    Kind = "redis"
	Memory   Kind = "memory"
	Embedded Kind = "embedded"
)

// forms names every form of a URL, for messages.
const forms = "use nats, tls, ws or wss://HOST:PORT, redis or rediss://HOST:PORT, " +
	"redis+sentinel or rediss+sentinel://HOST:PORT/MASTER, unix:///SOCKET of Redis, memory:NAME or embedded:DIR"

// Mistakes in a URL. Test for them with [errors.Is].
var (
	// ErrScheme: no adapter serves this kind of URL.
	ErrScheme = errors.New("no bus for this kind of URL")
	// ErrForm: the URL can't be read.
	ErrForm = errors.New("malformed URL")
)

func kinds() map[string]Kind {
	return map[string]Kind{
		"nats": NATS, "tls": NATS, "ws": NATS, "wss": NATS,
		"redis": Redis, "rediss": Redis, "redis+sentinel": Redis, "rediss+sentinel": Redis, "unix": Redis,
		"memory": Memory, "embedded": Embedded,
	}
}

// KindOf returns which kind of bus a URL asks for. Its errors are [ErrScheme] and [ErrForm]; they name all forms of
// URLs and never hold credentials.
func KindOf(target string) (Kind, error) {
	scheme, rest, _ := strings.Cut(target, ":")
	authority, remote := strings.CutPrefix(rest, "//")
	kind := kinds()[scheme]

	var ok bool

	switch kind {
	case NATS:
		ok = remote && servers(target)
	case Redis:
		ok = remote && authority != ""
	case Memory:
		ok = rest == "" || subjects.ValidID(rest)
	case Embedded:
		ok = !remote && len(target) > len(scheme)
	default:
		if remote {
			return "", fmt.Errorf("scheme %.40q: %w; %s", scheme, ErrScheme, forms)
		}
	}

	if !ok { // quote nothing: what stands before a colon may be a user with a password
		return "", fmt.Errorf("%w; %s", ErrForm, forms)
	}

	return kind, nil
}

// servers reports whether each of several servers of one cluster has a URL of NATS.
func servers(list string) bool {
	for one := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil || kinds()[u.Scheme] != NATS || !strings.Contains(one, "://") {
			return false
		}
	}

	return true
}
