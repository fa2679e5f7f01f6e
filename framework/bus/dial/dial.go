// Package dial opens a bus by its URL. It is the one place that knows every adapter.
package dial

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
)

// DefaultURL is where a bus is looked for when nothing says otherwise.
const DefaultURL = "nats://127.0.0.1:4222"

// errScheme: no adapter serves this kind of URL.
var errScheme = errors.New("no bus for this kind of URL")

// Config holds the settings of every adapter; Open uses those of the one that the URL chooses.
type Config struct {
	// NATS are the settings of a bus on JetStream; its URL is set by Open. Defaults to those of natsbus.
	NATS natsbus.Config
}

// Open opens the bus at a URL, whose scheme chooses the adapter: nats, tls, ws and wss are NATS JetStream (several
// servers of one cluster are separated by commas). An empty URL leaves the choice to a NATS context where one is
// selected, else it is [DefaultURL].
//
// It returns a [bus.DialError] with the URL and the reason when the bus can't be opened, and never opens another one
// instead.
func Open(ctx context.Context, target string, cfg Config) (bus.Bus, error) {
	if target == "" && cfg.NATS.Context == "" {
		target = DefaultURL
	}

	if err := check(target); err != nil {
		return nil, err
	}

	cfg.NATS.URL = target

	return natsbus.Open(ctx, cfg.NATS)
}

// check refuses a URL that no adapter serves, before anything is dialled.
func check(target string) error {
	if target == "" {
		return nil
	}

	for one := range strings.SplitSeq(target, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil || !strings.Contains(one, "://") { // else what stands before a colon may be a user with a password
			return &bus.DialError{URL: "(unreadable)", Err: errScheme, Hint: "write it as " + DefaultURL}
		}

		switch u.Scheme {
		case "nats", "tls", "ws", "wss":
		default:
			u.User = nil

			return &bus.DialError{
				URL: u.String(), Err: fmt.Errorf("scheme %q: %w", u.Scheme, errScheme), Hint: "write it as " + DefaultURL,
			}
		}
	}

	return nil
}
