package call

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus"
)

// Config says how patiently a [Client] calls. The zero value works.
type Config struct {
	// From names the caller to the serving side. Defaults to none.
	From string
	// Timeout of requests that have none. Defaults to 30 s; -1 leaves it to each call's context.
	Timeout time.Duration
	// Attempts is how often an idempotent request is sent at most that may have been served. Defaults to 3.
	Attempts int
	// RetryShare is how much such further tries and hedges may add to the load, as a share of the calls, after
	// RetryBurst at once. Defaults to 0.2; -1 allows only the burst.
	RetryShare float64
	// RetryBurst is how many further tries are allowed before the share counts. Defaults to 10; -1 switches them off.
	RetryBurst int
	// Breaker says when the circuit breakers open, of which each component and each instance has one. Its Timeout is not
	// used. Defaults to the values of breaker.Config.
	Breaker breaker.Config
}

func (c Config) withDefaults() Config {
	c.Timeout = orDefault(c.Timeout, 30*time.Second)
	c.Attempts = orDefault(c.Attempts, 3)
	c.RetryShare = max(orDefault(c.RetryShare, 0.2), 0)
	c.RetryBurst = max(orDefault(c.RetryBurst, 10), 0)

	return c
}

func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}

	return v
}

// Client calls components. All methods may be called concurrently.
type Client struct {
	rpc      bus.RPC
	dir      Directory
	cfg      Config
	breakers *breaker.Set
	budget   *budget

	mu    sync.Mutex
	calls map[bus.Endpoint]map[*context.CancelCauseFunc]struct{} // under way
}

// NewClient returns a client that calls the instances in dir. Whoever fills dir should call Left for each instance that
// disappears.
func NewClient(rpc bus.RPC, dir Directory, cfg Config) *Client {
	cfg = cfg.withDefaults()

	return &Client{
		rpc: rpc, dir: dir, cfg: cfg, breakers: breaker.NewSet(cfg.Breaker),
		budget: newBudget(cfg.RetryShare, cfg.RetryBurst),
		calls:  map[bus.Endpoint]map[*context.CancelCauseFunc]struct{}{},
	}
}

// Breakers returns the circuit breakers: of each component by its name, of each instance as "component/instance". They
// are there from the first call on.
func (c *Client) Breakers() *breaker.Set { return c.breakers }

// Call sends a request and returns the reply. Its error is an [*Error]; see there and [ErrNoInstance] for the reasons.
func (c *Client) Call(ctx context.Context, r Request) ([]byte, error) {
	message, err := r.complete(c.cfg)
	if err != nil {
		return nil, err
	}

	body, err := c.call(ctx, r, message)
	if err == nil || r.Fallback == nil || ctx.Err() != nil {
		return body, err
	}

	return r.Fallback(ctx, err)
}

func (c *Client) call(ctx context.Context, r Request, message *bus.Message) ([]byte, error) {
	permit, err := c.breakers.For(r.target()).Allow()
	if err != nil {
		return nil, r.failed("", err)
	}
	defer permit.Done(breaker.Ignored)

	ctx, cancel := within(ctx, r.Timeout)
	defer cancel()

	f := c.takeOff(r, message)
	body, err := f.run(ctx)
	permit.Done(outcome(err))

	if err != nil {
		return nil, r.failed(f.asked, err)
	}

	return body, nil
}

// flight is one call on its way, with all its tries.
type flight struct {
	client  *Client
	request Request
	message *bus.Message
	tries   int
	asked   string                // the instance of the latest try
	refused map[bus.Endpoint]bool // have not served it and will not
	failed  map[bus.Endpoint]bool // may have served it
}

func (c *Client) takeOff(r Request, message *bus.Message) *flight {
	c.budget.earn()

	return &flight{
		client: c, request: r, message: message, refused: map[bus.Endpoint]bool{}, failed: map[bus.Endpoint]bool{},
	}
}

// errExhausted: every instance has refused.
var errExhausted = errors.New("every instance has refused")

// run tries until an instance has served the call, or it makes no sense to go on.
func (f *flight) run(ctx context.Context) ([]byte, error) {
	var last error

	for {
		to, permit, err := f.choose()
		if err != nil {
			return nil, orLast(last, err)
		}

		body, err := f.hedged(ctx, to, permit)
		if err == nil || !f.again(ctx, to, err) {
			return body, err
		}

		last = err
	}
}

// orLast prefers what an instance said to there being none left.
func orLast(last, err error) error {
	if last != nil {
		return last
	}

	return err
}

// again reports whether another try is worth it and allowed, and waits before one to instances that have failed.
func (f *flight) again(ctx context.Context, to bus.Endpoint, err error) bool {
	f.asked = to.String()

	switch {
	case ctx.Err() != nil:
		return false
	case unserved(err):
		f.refused[to] = true

		return true
	case !broken(err) || !f.request.Idempotent:
		return false
	}

	f.tries++
	f.failed[to] = true

	return f.tries < f.client.cfg.Attempts && f.client.budget.spend() && pause(ctx, f.tries)
}

// pause waits a little longer before each further try, and reports whether ctx has not ended.
func pause(ctx context.Context, tries int) bool {
	const first = 20 * time.Millisecond

	d := first << min(tries, 6)
	timer := time.NewTimer(d/2 + rand.N(d/2))
	defer timer.Stop()

	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
