package natsbus

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/synadia-io/orbit.go/natscontext"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// How a connection is watched and restored. The defaults of the client notice a hung server after minutes, give up
// after two, and send late what was meant to be fenced. What is written has a bound of its own, [writeStall].
const (
	pingInterval    = 5 * time.Second
	pingsMissed     = 2
	reconnectWait   = 100 * time.Millisecond
	reconnectJitter = 400 * time.Millisecond
	minServerDial   = 500 * time.Millisecond
)

// connect dials within ctx and returns the connection and the JetStream settings of the context, if one is used.
func (b *Bus) connect(ctx context.Context) (*nats.Conn, natscontext.Settings, error) {
	opts, err := b.options(ctx)
	if err != nil {
		return nil, natscontext.Settings{}, err
	}
	if b.cfg.Context == "" {
		nc, err := nats.Connect(b.cfg.URL, opts...)

		return nc, natscontext.Settings{}, err
	}
	nc, settings, err := natscontext.Connect(b.cfg.Context, opts...)
	if err != nil {
		return nil, settings, fmt.Errorf("NATS context %q: %w", b.cfg.Context, err)
	}
	if err := supported(settings); err != nil {
		nc.Close()

		return nil, settings, fmt.Errorf("NATS context %q: %w", b.cfg.Context, err)
	}

	return nc, settings, nil
}

// supported refuses keys of a context that the library reads and then ignores: connected as someone else is worse
// than not connected.
func supported(s natscontext.Settings) error {
	for key, set := range map[string]bool{"nsc": s.NSCLookup != "", "user_jwt": s.UserJwt != ""} {
		if set {
			return fmt.Errorf("its key %s is not supported: put the credentials into a file and name that in creds: %w",
				key, bus.ErrInvalid)
		}
	}

	return nil
}

// options returns all settings of the connection but those of a context, which come first.
func (b *Bus) options(ctx context.Context) ([]nats.Option, error) {
	auth, err := b.authOptions()
	if err != nil {
		return nil, err
	}

	timeout := b.serverTimeout(ctx)

	return append(append([]nats.Option{b.contextOverrides()}, auth...),
		nats.Name(b.cfg.Name),
		nats.Timeout(timeout),
		boundWrites(timeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectJitter, reconnectJitter),
		nats.ReconnectBufSize(-1),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(pingsMissed),
		nats.PermissionErrOnSubscribe(true),
		nats.DisconnectErrHandler(b.disconnected),
		nats.ReconnectHandler(b.reconnected),
		nats.ClosedHandler(b.connectionClosed),
		nats.ErrorHandler(b.asyncError),
	), nil
}

// contextOverrides replaces settings of a context where the configuration has its own.
func (b *Bus) contextOverrides() nats.Option {
	return func(o *nats.Options) error {
		if b.cfg.URL != "" && b.cfg.Context != "" {
			o.Servers = strings.Split(b.cfg.URL, ",")
			if strings.Contains(b.cfg.URL, "@") {
				dropCredentials(o)
			}
		}
		if b.cfg.User == "" && b.cfg.Password != "" {
			o.Password = b.cfg.Password
		}
		if b.cfg.InboxPrefix != "" {
			o.InboxPrefix = b.cfg.InboxPrefix
		}
		if o.InboxPrefix == "" {
			o.InboxPrefix = b.cfg.inboxPrefix()
		}

		return nil
	}
}

// serverTimeout shares what is left of the time for dialling among the servers of the URL.
func (b *Bus) serverTimeout(ctx context.Context) time.Duration {
	left := b.cfg.DialTimeout
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}

	return max(left/time.Duration(strings.Count(b.cfg.URL, ",")+1), minServerDial)
}
