package load

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/chaos/hook"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// Config says how much is posted. All fields are required but those with a default.
type Config struct {
	// Seed decides what is posted.
	Seed uint64
	// Rate is how many turns are posted in a second, by all sessions together, if the pipeline takes so many.
	Rate float64
	// Sessions is how many run at once.
	Sessions int
	// Turns is how many a session posts.
	Turns int
	// Lifelong is how many of the sessions live through the whole run instead: they are cancelled, interrupted, left alone
	// for a while, and visited by readers with cursors of any age. Defaults to none.
	Lifelong int
	// Age is for how long the bus keeps what is stored. Defaults to longer than the run.
	Age time.Duration
	// Window is how many turns of a session may be posted and not answered yet.
	Window int
	// HookShare is the share of turns whose prompt makes the relay misbehave, from 0 to 1.
	HookShare float64
	// Hooks are those that prompts carry.
	Hooks []hook.Hook
	// InOrder says that the bus tells of the entries of all streams in the order in which it stored them, and that only
	// this orders entries of different streams. Defaults to false: positions do.
	InOrder bool
	// Answers returns the pieces of what the model may answer to a prompt: each answer that it may give. Defaults to what
	// the offline model answers.
	Answers func(ctx context.Context, prompt string) ([][]string, error)
	// Done is told of each session when it is over, possibly concurrently. Defaults to nobody.
	Done func(*check.Session)
	// Quiet is how long nothing may happen in a session, after everything is well again, before its turns count as
	// stuck.
	Quiet time.Duration
}

// Edges says where the pipeline's edges are.
type Edges interface {
	Inputs() []string
	Outputs() []string
}

// Follower follows sessions on the bus; [framework.Client] is one.
type Follower interface {
	Follow(ctx context.Context, cfg stream.FollowConfig) (*stream.Follower, error)
}

// Watcher is told of what undisturbed readers see, as it happens.
type Watcher interface {
	Chunk(at time.Time, component, stream string, attempt uint32)
	End(stream string)
}

// Runner runs sessions.
type Runner struct {
	cfg     Config
	edges   Edges
	direct  Follower
	log     bus.Log
	watcher Watcher
	client  *http.Client
	tokens  chan struct{}

	mu      sync.Mutex
	stats   Stats
	failed  []Failure
	settled []settled
	present map[*session]bool
	wipes   wipes
}

// Failure is a session with violations.
type Failure struct {
	Session    *check.Session
	Violations []check.Violation
}

// New returns a runner for a pipeline. direct and log are connections to its server that no fault disturbs but those
// of the server.
func New(cfg Config, edges Edges, direct Follower, log bus.Log, watcher Watcher) *Runner {
	if cfg.Answers == nil {
		cfg.Answers = offline
	}
	if cfg.Done == nil {
		cfg.Done = func(*check.Session) {}
	}
	return &Runner{
		cfg: cfg, edges: edges, direct: direct, log: log, watcher: watcher, tokens: make(chan struct{}),
		present: make(map[*session]bool),
		client:  &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
}

// Run runs sessions until enough is closed and all that began have ended: by themselves, or, after well is closed,
// because nothing happens in them any more. Whatever happens, it returns when ctx ends.
func (r *Runner) Run(ctx context.Context, enough, well <-chan struct{}) {
	var running sync.WaitGroup
	defer running.Wait()
	pacing, stop := context.WithCancel(ctx)
	defer stop()
	running.Go(func() { r.pace(pacing) })

	slots := make(chan struct{}, r.cfg.Sessions)
	for i := 0; ; i++ {
		select {
		case slots <- struct{}{}:
		case <-enough:
		case <-ctx.Done():
		}
		if isClosed(enough) || ctx.Err() != nil {
			break
		}
		running.Go(func() {
			defer func() { <-slots }()
			r.session(ctx, i, enough, well)
		})
	}
	stop()
	running.Wait()
	r.recheck(ctx)
}

// pace hands out the right to post a turn, at the rate of the run.
func (r *Runner) pace(ctx context.Context) {
	ticker := time.NewTicker(time.Duration(float64(time.Second) / r.cfg.Rate))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		select {
		case r.tokens <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
}

// session runs one session and checks it.
func (r *Runner) session(ctx context.Context, number int, enough, well <-chan struct{}) {
	s := r.newSession("s"+strconv.FormatUint(r.cfg.Seed, 10)+"-"+strconv.Itoa(number), number)
	r.mu.Lock()
	r.present[s] = true
	r.mu.Unlock()
	history := s.run(ctx, enough, well)
	violations, taken := history.Judge()
	r.cfg.Done(history)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.present, s)
	r.stats.add(history)
	r.stats.judge(history, violations, taken)
	r.remember(history)
	if len(violations) > 0 {
		r.failed = append(r.failed, Failure{history, violations})
	}
}

// Result returns the figures and the sessions that broke a promise. Call it after Run.
func (r *Runner) Result() (Stats, []Failure) {
	r.mu.Lock()
	defer r.mu.Unlock()

	return r.stats, r.failed
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
