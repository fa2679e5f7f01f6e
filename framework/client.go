package framework

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/dial"
	"github.com/woodwork-go/woodwork/framework/call"
	"github.com/woodwork-go/woodwork/framework/registry"
	"github.com/woodwork-go/woodwork/framework/session"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/framework/telemetry"
	"github.com/woodwork-go/woodwork/framework/turn"
	"github.com/woodwork-go/woodwork/subjects"
)

// Client posts turns and follows the answers. It is what edges and programs outside a pipeline use. All methods may be
// called concurrently.
type Client struct {
	bus   bus.Bus
	store *stream.Store
	trace *telemetry.Tracer
	log   zerolog.Logger
	owned bool

	directory directory
	sessions  *session.Store
	everyone  *session.Store // of all tenants, for the work on turns
	calls     calls
	obedience *obedience
}

// Connect opens the bus that cfg names and returns a client on it. It returns a [bus.DialError] when the bus can't be
// opened. Once it is open, lost connections are restored by the bus for ever. A [UsageError] says that Config.Telemetry
// can't be used.
func Connect(ctx context.Context, cfg Config) (*Client, error) {
	tracer, err := telemetry.Open(ctx, cfg.telemetry())
	if err != nil {
		return nil, &UsageError{err}
	}

	b, owned := cfg.Bus, false

	if b == nil {
		b, err = dial.Open(ctx, cfg.URL, cfg.dialConfig())
		if err != nil {
			tracer.Close(ctx)

			return nil, err //nolint:wrapcheck // a DialError says all there is to say
		}

		owned = true
	}

	cfg.Stream.Tracer = tracer

	c := &Client{
		bus: b, owned: owned, log: cfg.Logger, store: stream.NewStore(b, b.Info(), cfg.Stream),
		trace: tracer.On(b.Info().Kind), directory: directory{registry: registry.New(b, registry.Config{Logger: cfg.Logger})},
	}
	c.calls.client = call.NewClient(b, listing{c.directory.registry}, cfg.callConfig())
	c.obedience = newObedience(cfg.Logger, c.Breakers())
	c.sessions = session.NewStore(b, c.store, session.Config{TTL: cfg.SessionTTL, Tenant: cfg.Tenant})
	c.everyone = session.NewStore(b, c.store, session.Config{TTL: cfg.SessionTTL})

	return c, nil
}

// Close flushes what was sent, exports the last traces and closes the bus, unless it was given to Connect open. It is
// idempotent.
func (c *Client) Close(ctx context.Context) error {
	c.calls.close()
	c.directory.close()
	c.store.Close()
	c.trace.Close(ctx)

	if !c.owned {
		return nil
	}

	if err := c.bus.Close(ctx); err != nil {
		return fmt.Errorf("close bus: %w", err)
	}

	return nil
}

// Info says which bus the client uses and what it promises.
func (c *Client) Info() bus.Info { return c.bus.Info() }

// Tracer makes the spans of an edge; nil when tracing is off, which works.
func (c *Client) Tracer() *telemetry.Tracer { return c.trace }

// Log is the process's logger.
func (c *Client) Log() zerolog.Logger { return c.log }

// Post says what a turn is for. Session and Component are required.
type Post struct {
	// Session the turn happens in, an id. Required; for ids of other systems see subjects.Encode.
	Session string
	// Component that gets the turn. Required.
	Component string
	// ID of the turn, an id that is unique in the session. Posting twice with one ID posts once. Defaults to a random
	// one.
	ID string
	// From names the component that posts, an id. Defaults to "input".
	From string
	// Type of the input's chunks. Defaults to text.
	Type bus.DataType
	// Trace is the W3C trace context that the turn goes on from. Defaults to that of the context.
	Trace map[string]string
	// Policy says what becomes of the session's earlier turns. Defaults to Queue.
	Policy PostPolicy

	own string // Session as it was given; from then on it is the one on the bus
}

// Ref names a posted turn.
type Ref struct {
	Session string `json:"session"`
	// Turn is the id of the turn and of its input stream.
	Turn string `json:"turn"`
}

// Post posts a turn whose input is data, as one chunk. It returns after the bus stored both, in its durability class.
// After an error the turn may or may not have been posted; repeat it with the same Post.ID to be sure. After
// [ErrSessionBusy] it has not been posted.
func (c *Client) Post(ctx context.Context, p Post, data []byte) (Ref, error) {
	fresh := p.ID == ""

	p, err := c.complete(p)
	if err != nil {
		return Ref{}, err
	}

	if err := c.admit(ctx, p); err != nil {
		return Ref{}, fmt.Errorf("post turn: %w", err)
	}

	mark, err := c.prepare(ctx, &p, fresh, data)
	if err != nil {
		return Ref{}, fmt.Errorf("post turn: %w", err)
	}

	return p.ref(), c.postTurn(ctx, p, mark, false)
}

// prepare stores the input, renews the session, and returns the turn's place in the session's control log. It does all
// three at once, unless the turn interrupts others: they are cancelled when its input is there. The turn goes on from the
// input's span.
func (c *Client) prepare(ctx context.Context, p *Post, fresh bool, data []byte) (session.Place, error) {
	known := *p

	if p.Policy == Interrupt {
		if err := c.writeInput(ctx, p, fresh, data); err != nil {
			return session.Place{}, err
		}

		c.touch(ctx, known)

		return c.mark(ctx, known)
	}

	var mark session.Place

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.writeInput(ctx, p, fresh, data) })
	group.Go(func() (err error) {
		mark, err = c.mark(ctx, known)

		return err
	})
	group.Go(func() error {
		c.touch(ctx, known)

		return nil
	})
	err := group.Wait()

	return mark, err //nolint:wrapcheck // both say what they were doing
}

// writeInput stores the whole input. An input that an earlier call with the same ID has completed is kept.
func (c *Client) writeInput(ctx context.Context, p *Post, fresh bool, data []byte) error {
	var ended *stream.EndedError

	w, err := c.openInput(ctx, p, fresh, nil) // all of it is stored at once, however late the turn runs
	if errors.As(err, &ended) && ended.End.State == bus.Completed {
		return nil
	}

	if err != nil {
		return err
	}

	if err := w.CloseWith(ctx, data); err != nil {
		w.Abandon()

		return fmt.Errorf("store input: %w", err)
	}

	return nil
}

// Open posts a turn at once and returns the writer of its input, so that the component can begin while the input is
// still arriving. The caller sends the chunks and then calls Close, or Fail when the input broke off. It returns
// [ErrSessionBusy] as Post does. The writer's Send blocks while it is a window ahead of the component, also while that
// is busy with earlier turns of the session.
func (c *Client) Open(ctx context.Context, p Post) (*stream.Writer, Ref, error) {
	fresh := p.ID == ""

	p, err := c.complete(p)
	if err != nil {
		return nil, Ref{}, err
	}

	if err := c.admit(ctx, p); err != nil {
		return nil, Ref{}, fmt.Errorf("open turn: %w", err)
	}

	w, err := c.openInput(ctx, &p, fresh, []string{p.Component})
	if err != nil {
		return nil, Ref{}, fmt.Errorf("open turn: %w", err)
	}

	mark, err := c.mark(ctx, p)
	if err == nil {
		err = c.postTurn(ctx, p, mark, true)
	}

	c.touch(ctx, p)

	if err != nil {
		w.Abandon()

		return nil, Ref{}, fmt.Errorf("open turn: %w", err)
	}

	return w, p.ref(), nil
}

// Cancel cancels a turn and everything that follows from it: handlers' contexts end, and every stream of the turn ends
// as cancelled with the text that it has, for the reason given. A Ref without a turn cancels every turn that was
// posted to the session before. It returns after the bus stored the event; the turns end soon after, also those that
// have not begun. A turn that is done stays as it is. It fails with bus.ErrInvalid for a reason longer than
// [stream.MaxReason].
func (c *Client) Cancel(ctx context.Context, ref Ref, reason string) error {
	name, err := c.sessions.Name(ref.Session)
	if err := errors.Join(err, checkOptional("turn", ref.Turn), stream.CheckReason(reason)); err != nil {
		return fmt.Errorf("cancel: %w", err)
	}

	if _, err := session.Post(ctx, c.store, name, session.Cancel{Root: ref.Turn, Reason: reason}); err != nil {
		return fmt.Errorf("cancel: %w", err)
	}

	return nil
}

func checkOptional(what, id string) error {
	if id == "" {
		return nil
	}

	return subjects.CheckID(what, id)
}

// Follow follows a session's timeline: the streams meant for the user, one after the other, from a cursor on.
func (c *Client) Follow(ctx context.Context, cfg stream.FollowConfig) (*stream.Follower, error) {
	name, err := c.sessions.Name(cfg.Session)
	if err != nil {
		return nil, fmt.Errorf("follow: %w", err)
	}

	cfg.Session = name

	f, err := c.store.Follow(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("follow session %s: %w", name, err)
	}

	return f, nil
}

// Session returns a component's state in a session, for a program that acts for the component.
func (c *Client) Session(session, component string) *Session {
	return &Session{ID: session, state: c.sessions.State(session, component)}
}

// openInput opens the input's writer, and makes its trace context that of the post.
func (c *Client) openInput(ctx context.Context, p *Post, fresh bool, readers []string) (*stream.Writer, error) {
	w, err := c.store.OpenWriter(ctx, stream.WriterConfig{
		Session: p.Session,
		Info: stream.Info{
			Stream: p.ID, Component: p.From, Target: p.Component, Turn: p.ID, Root: p.ID, Type: p.Type,
		},
		Trace: p.Trace, Readers: readers, New: fresh,
	})
	if err != nil {
		return nil, fmt.Errorf("open input: %w", err)
	}

	p.Trace = w.Trace()

	return w, nil
}

// postTurn posts the turn, ahead of its input or behind it.
func (c *Client) postTurn(ctx context.Context, p Post, mark session.Place, ahead bool) error {
	r := turn.Record{
		ID: p.ID, Session: p.Session, Component: p.Component, Root: p.ID, From: p.From, Mark: mark, Ahead: ahead,
	}
	if err := turn.Post(ctx, c.bus, r, p.Trace); err != nil {
		return fmt.Errorf("post: %w", err)
	}

	return nil
}

func (p Post) ref() Ref { return Ref{Session: p.own, Turn: p.ID} }

func (p Post) withDefaults() (Post, error) {
	if p.ID == "" {
		p.ID = rand.Text()
	}

	if p.From == "" {
		p.From = "input"
	}

	if p.Type == "" {
		p.Type = bus.Text
	}

	err := errors.Join(
		subjects.CheckID("session", p.Session), subjects.CheckID("component", p.Component), subjects.CheckID("turn", p.ID),
		subjects.CheckID("poster", p.From))
	if err == nil && (subjects.Reserved(p.Session) || subjects.Reserved(p.ID)) {
		err = fmt.Errorf("ids that begin with \"_\" are reserved: %w", subjects.ErrInvalid)
	}

	if err != nil {
		return p, fmt.Errorf("post turn: %w", err)
	}

	return p, nil
}
