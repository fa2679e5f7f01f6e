package registry

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// DefaultTTL is how long an entry lasts after a heartbeat when nothing else is said.
const DefaultTTL = 10 * time.Second

// MemberConfig says what a [Member] registers. Only Instance.Component is required.
type MemberConfig struct {
	// Instance is what it says of itself; State, Beat, TTL, Run and Report are filled in. Its ID defaults to a random
	// one. Component is required.
	Instance Instance
	// TTL is how long after its last heartbeat an instance that died is still listed: whole seconds, at least 1 s.
	// Defaults to [DefaultTTL].
	TTL time.Duration
	// Heartbeat is how often the entry is refreshed. Defaults to a third of TTL.
	Heartbeat time.Duration
	// Report is asked at each heartbeat for what changes. It must not block. Defaults to none.
	Report func() Report
	// Logger gets heartbeats that failed. Defaults to none.
	Logger zerolog.Logger
}

// Member keeps the entry of one instance. All methods may be called concurrently.
type Member struct {
	kv     bus.KV
	cfg    MemberConfig
	key    string
	joined chan struct{} // closed by the first accepted heartbeat
	wake   chan struct{} // holds one token while there is something to say

	mu       sync.Mutex
	self     Instance
	problem  string
	accepted time.Time // when the last heartbeat was; zero before the first

	revision uint64 // of the entry; used by Run only
}

var (
	errTTL       = errors.New("use whole seconds, at least 1s")
	errHeartbeat = errors.New("use a positive duration shorter than the time to live")
)

// NewMember returns a member in the state [Initializing]. Nobody knows of it before Run.
func NewMember(kv bus.KV, cfg MemberConfig) (*Member, error) {
	if cfg.Instance.ID == "" {
		cfg.Instance.ID = strings.ToLower(rand.Text()[:12])
	}

	if cfg.TTL == 0 {
		cfg.TTL = DefaultTTL
	}

	if cfg.Heartbeat == 0 {
		cfg.Heartbeat = cfg.TTL / 3
	}

	key, err := subjects.InstanceKey(cfg.Instance.Component, cfg.Instance.ID)
	if cfg.TTL < time.Second || cfg.TTL%time.Second != 0 {
		err = errors.Join(err, fmt.Errorf("time to live %v: %w", cfg.TTL, errTTL))
	}

	if cfg.Heartbeat < 0 || cfg.Heartbeat >= cfg.TTL {
		err = errors.Join(err, fmt.Errorf("heartbeat %v: %w", cfg.Heartbeat, errHeartbeat))
	}

	if err != nil {
		return nil, fmt.Errorf("register instance: %w", err)
	}

	self := cfg.Instance
	self.State, self.Run, self.TTL = Initializing, rand.Text(), int(cfg.TTL/time.Second)

	return &Member{
		kv: kv, cfg: cfg, key: key, self: self, joined: make(chan struct{}), wake: make(chan struct{}, 1),
	}, nil
}

// Instance returns what the member says of itself now.
func (m *Member) Instance() Instance {
	m.mu.Lock()
	defer m.mu.Unlock()

	return m.self
}

// Heartbeat returns how often the entry is refreshed.
func (m *Member) Heartbeat() time.Duration { return m.cfg.Heartbeat }

// Joined is closed when the entry was stored for the first time.
func (m *Member) Joined() <-chan struct{} { return m.joined }

// errTransition: the state doesn't follow from the one before.
var errTransition = errors.New("not a state that follows")

// maxProblem bounds what a member says is wrong, in bytes: an error may have any text, and the entry must fit the bus.
const maxProblem = 4 << 10

// Become changes the state, which is announced at once; problem says why, for [Failed], of which the first 4 KiB are
// told. It refuses what [State.May] does.
func (m *Member) Become(s State, problem string) error {
	m.mu.Lock()
	defer m.mu.Unlock()

	if !m.self.State.May(s) {
		return fmt.Errorf("instance %s: %s after %s: %w", &m.self, s, m.self.State, errTransition)
	}

	m.self.State, m.problem = s, strings.ToValidUTF8(problem[:min(len(problem), maxProblem)], "")
	m.Refresh()

	return nil
}

// Refresh sends the next heartbeat at once, for what others should know soon.
func (m *Member) Refresh() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Listed reports whether others can see the member: its last accepted heartbeat is not older than the time to live.
func (m *Member) Listed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()

	return !m.accepted.IsZero() && time.Since(m.accepted) < m.cfg.TTL
}

// farewellTimeout bounds the last words of a member.
const farewellTimeout = 2 * time.Second

// Run registers the instance and keeps its entry until ctx ends; then it says goodbye, which ends the entry for
// everybody, but that of a failed instance stays until it expires. While the bus doesn't answer it keeps trying, and
// whatever became of the entry meanwhile, it is there again one heartbeat after the bus is. It returns nil at the end,
// and a [*TakenError] when another process has the id.
func (m *Member) Run(ctx context.Context) error {
	err := m.keep(ctx)
	if err != nil {
		return fmt.Errorf("register instance: %w", err)
	}

	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewellTimeout)
	defer cancel()

	if err := m.leave(last); err != nil {
		m.cfg.Logger.Warn().Err(err).Msg("could not take this instance off the registry; it will expire")
	}

	return nil
}

// keep sends heartbeats until ctx ends or the id is lost.
func (m *Member) keep(ctx context.Context) error {
	for failures := 0; ; {
		err := m.beat(ctx)

		var taken *TakenError

		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // it ends because it was told to
		case errors.As(err, &taken):
			if err := m.await(ctx, taken); err != nil {
				return err
			}

			continue
		case errors.Is(err, bus.ErrInvalid), errors.Is(err, bus.ErrTooLarge), errors.Is(err, bus.ErrClosed):
			return err
		case err != nil:
			failures++
			m.cfg.Logger.Warn().Err(err).Msg("could not refresh this instance in the registry")
		default:
			failures = 0
		}

		if !m.rest(ctx, failures) {
			return nil
		}
	}
}

// rest waits for the next heartbeat, which comes earlier when there is something to say or the last one failed.
func (m *Member) rest(ctx context.Context, failures int) bool {
	const soonest, doublings = 50 * time.Millisecond, 10

	wait := m.cfg.Heartbeat - mathrand.N(m.cfg.Heartbeat/10+1) // so that not all beat at once
	if failures > 0 {
		wait = min(wait, soonest<<min(failures, doublings))
	}

	timer := time.NewTimer(wait)
	defer timer.Stop()

	select {
	case <-timer.C:
	case <-m.wake:
	case <-ctx.Done():
		return false
	}

	return true
}

// leave says goodbye.
func (m *Member) leave(ctx context.Context) error {
	switch {
	case m.Instance().State == Failed:
		return m.beat(ctx)
	case m.revision == 0:
		return nil
	}

	return errors.Join(m.Become(Terminated, ""), m.beat(ctx))
}

// ttl is how long the next entry lasts. A goodbye is not deleted at once: a watch may skip what was replaced soon, and
// would take the end of an entry without a goodbye for a failure.
func (m *Member) ttl() time.Duration {
	if m.Instance().State == Terminated {
		return time.Second
	}

	return m.cfg.TTL
}

// encode returns the next heartbeat. Its report is taken after its state is known, so that it is never older.
func (m *Member) encode() ([]byte, error) {
	m.mu.Lock()
	m.self.Beat++
	self, problem := m.self, m.problem
	m.mu.Unlock()

	if m.cfg.Report != nil {
		self.Report = m.cfg.Report()
	}

	if problem != "" {
		self.Problem = problem
	}

	m.mu.Lock()
	m.self.Report = self.Report
	m.mu.Unlock()

	return json.Marshal(self)
}
