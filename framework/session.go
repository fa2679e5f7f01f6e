package framework

import (
	"context"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/framework/session"
)

// Session is one user's conversation, as a component sees it while it works on a turn.
type Session struct {
	// ID names the session: on the bus for a turn, which for a tenant's session includes the tenant's name.
	ID string

	state *session.ComponentState
}

// Load reads the component's own state in this session from JSON into v, and leaves v as it is when there is none. It
// remembers the state's revision for Save.
func (s *Session) Load(ctx context.Context, v any) error { return s.state.Load(ctx, v) }

// Save stores v as JSON in place of the state that Load saw. It returns bus.ErrConflict when somebody else saved
// since: load again and decide, or use [UpdateState]. The size of the JSON is bounded by bus.Info.MaxBody. The state
// lasts as long as the session, which every posted turn renews.
func (s *Session) Save(ctx context.Context, v any) error { return s.state.Save(ctx, v) }

// UpdateState changes the component's own state in a session. change gets what is there now, or a zero value, again
// whenever somebody else was faster, so no change of anybody is lost; it must have no other effects.
func UpdateState[T any](ctx context.Context, s *Session, change func(*T) error) error {
	return session.Update(ctx, s.state, change)
}

// Sessions are the client's sessions: those of its tenant, or all where it has none. A turn that is posted makes the
// session that it names, if it isn't there, and renews it.
func (c *Client) Sessions() *session.Store { return c.sessions }

// complete fills in what a post leaves open, and puts the session's id on the bus in place of the client's own.
func (c *Client) complete(p Post) (Post, error) {
	p, err := p.withDefaults()
	if err != nil {
		return p, err
	}

	p.own = p.Session
	p.Session, err = c.sessions.Name(p.own)

	return p, err
}

// touchTimeout bounds one renewal of a session.
const touchTimeout = time.Second

// during calls f for a session that is renewed for as long as that goes on: a turn may take longer than a session lasts
// to which nobody posts.
func (c *Client) during(ctx context.Context, session string, f func() error) error {
	ctx, stop := context.WithCancel(ctx)

	var renewing sync.WaitGroup

	renewing.Go(func() { c.renew(ctx, session) })

	defer renewing.Wait()
	defer stop()

	return f()
}

// renew renews a session until ctx ends. The session lasts for a few renewals that fail, so a failure only is logged.
func (c *Client) renew(ctx context.Context, session string) {
	due := time.NewTicker(c.everyone.Interval())
	defer due.Stop()

	for {
		select {
		case <-due.C:
		case <-ctx.Done():
			return
		}

		try, cancel := context.WithTimeout(ctx, touchTimeout)
		err := c.everyone.Renew(try, session)

		cancel()

		if err != nil && ctx.Err() == nil {
			c.log.Warn().Err(err).Str("session", session).Msg("could not renew the session of a turn under way")
		}
	}
}

// touch renews the session of a turn that is posted. The turn is safe without it, so a failure only is logged.
func (c *Client) touch(ctx context.Context, p Post) {
	ctx, cancel := context.WithTimeout(ctx, touchTimeout)
	defer cancel()

	if err := c.sessions.Touch(ctx, p.own); err != nil {
		c.log.Warn().Err(err).Str("session", p.Session).Msg("could not renew the session")
	}
}
