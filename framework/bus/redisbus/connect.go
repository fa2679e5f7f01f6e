package redisbus

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// keepAlive is how often the operating system probes a quiet connection; it ends one that leaves two unanswered.
const keepAlive = 5 * time.Second

// connect makes the client and finds out whether the server will do. It sets client as soon as there is one to close.
func (b *Bus) connect(ctx context.Context) error {
	t, err := parseURL(b.cfg.URL)
	if err != nil {
		return err
	}
	if b.cfg.Password != "" {
		t.user, t.password = b.cfg.User, b.cfg.Password
	}
	tlsConfig, err := b.cfg.tlsConfig(t.tls)
	if err != nil {
		return err
	}
	opts := b.options(&t, tlsConfig)
	b.client = redis.NewUniversalClient(opts)
	facts, err := b.look(ctx)
	if err != nil {
		return err
	}
	if _, single := b.client.(*redis.Client); single && facts[0].cluster {
		if err := b.client.Close(); err != nil {
			return err
		}
		opts.IsClusterMode = true
		b.client = redis.NewUniversalClient(opts)
		if facts, err = b.look(ctx); err != nil {
			return err
		}
	}
	if err := facts.check(); err != nil {
		return err
	}
	b.describe(facts)
	b.client.AddHook(&b.contact)

	return nil
}

// options returns the settings of the client. It never repeats a command by itself: whether that is safe, and when,
// the caller of the port knows.
func (b *Bus) options(t *target, tlsConfig *tls.Config) *redis.UniversalOptions {
	timeout := max(b.cfg.AppendTimeout, callTimeout)

	return &redis.UniversalOptions{
		Addrs: t.addrs, DB: t.db, MasterName: t.master, ClientName: b.cfg.Name,
		Username: t.user, Password: t.password,
		SentinelUsername: b.cfg.SentinelUser, SentinelPassword: b.cfg.SentinelPassword,
		Dialer: b.dialer(t.unix, tlsConfig), TLSConfig: tlsConfig,
		MaxRetries: -1, DialerRetries: 1, DialTimeout: b.cfg.DialTimeout,
		ReadTimeout: timeout, WriteTimeout: timeout, ContextTimeoutEnabled: true,
		PoolSize: b.cfg.Connections, PoolTimeout: timeout, PipelinePoolSize: -1,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// dialer connects to a server, with TLS where the configuration says so, for as long as the context allows.
func (b *Bus) dialer(unix bool, tlsConfig *tls.Config) func(context.Context, string, string) (net.Conn, error) {
	d := &net.Dialer{
		Timeout:         b.cfg.DialTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: keepAlive, Interval: keepAlive, Count: 2},
	}
	if unix {
		return func(ctx context.Context, _, path string) (net.Conn, error) { return d.DialContext(ctx, "unix", path) }
	}
	if tlsConfig == nil {
		return d.DialContext
	}

	return (&tls.Dialer{NetDialer: d, Config: tlsConfig}).DialContext
}
