package breaker

import (
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
)

// Outcome is what became of a call that was permitted.
type Outcome int

// The outcomes.
const (
	// Ignored says nothing about the target, such as a call that its caller cancelled.
	Ignored Outcome = iota
	// Success is an answer of a target that works, also one that refuses the request for good reason.
	Success
	// Failure is a call that failed because of the target.
	Failure
)

// Breaker is the circuit breaker of one target. All methods may be called concurrently.
type Breaker struct {
	name string
	cfg  Config

	mu       sync.Mutex
	circuit  circuitbreaker.CircuitBreaker[struct{}]
	mode     Mode
	reason   string // of the mode; empty in Auto
	since    time.Time
	epoch    uint64 // counts the circuit's states: an outcome counts for the one its call began in
	probes   int    // under way in this epoch
	hinted   time.Time
	opened   uint64
	rejected uint64
}

// New returns a closed breaker for a target.
func New(name string, cfg Config) *Breaker {
	cfg = cfg.withDefaults()

	return &Breaker{
		name: name, cfg: cfg, mode: Auto, since: time.Now(),
		circuit: circuitbreaker.NewBuilder[struct{}]().
			WithFailureThreshold(uint(max(cfg.Failures, 1))).
			WithSuccessThreshold(uint(max(cfg.Successes, 1))).
			WithDelay(cfg.Recovery).
			Build(),
	}
}

// Name returns the target's name.
func (b *Breaker) Name() string { return b.name }

// Permit is the leave for one call. Its outcome must be reported.
type Permit struct {
	breaker *Breaker
	epoch   uint64
	counted bool // an operator's leave says nothing about the target
	once    sync.Once
}

// Allow returns the permit for one call, or an [*OpenError] at once.
func (b *Breaker) Allow() (*Permit, error) {
	var p *Permit

	err := b.change(func() error {
		var err error
		p, err = b.allow()

		return err
	})

	return p, err
}

func (b *Breaker) allow() (*Permit, error) {
	switch {
	case b.mode == ForceClosed || b.cfg.Failures < 0 && b.mode == Auto:
		return &Permit{breaker: b}, nil
	case b.mode == ForceOpen:
		return nil, b.refuse(0)
	}

	if b.circuit.IsOpen() {
		if wait := b.circuit.RemainingDelay(); wait > 0 {
			return nil, b.refuse(wait)
		}

		b.circuit.HalfOpen()
		b.turnOver()
	}

	if b.circuit.IsHalfOpen() {
		if b.probes >= b.cfg.Probes {
			return nil, b.refuse(0)
		}

		b.probes++
	}

	return &Permit{breaker: b, epoch: b.epoch, counted: true}, nil
}

func (b *Breaker) refuse(wait time.Duration) error {
	b.rejected++

	return &OpenError{Name: b.name, RetryIn: wait, Forced: b.mode == ForceOpen, Reason: b.reason}
}

// Done reports the call's outcome. Only the first report counts, and only while the breaker is in the state in which
// the call began: a late answer decides nothing.
func (p *Permit) Done(o Outcome) {
	p.once.Do(func() {
		if p.counted {
			_ = p.breaker.change(func() error { p.breaker.settle(p.epoch, o); return nil })
		}
	})
}

func (b *Breaker) settle(epoch uint64, o Outcome) {
	if epoch != b.epoch {
		return
	}

	before := b.circuit.State()
	if before == circuitbreaker.HalfOpenState {
		b.probes--
	}

	switch o {
	case Success:
		b.circuit.RecordSuccess()
	case Failure:
		b.circuit.RecordFailure()

		if time.Now().Before(b.hinted) {
			b.circuit.Open()
		}
	case Ignored:
	}

	if b.circuit.State() != before {
		b.turnOver()
	}
}

// turnOver begins the circuit's next state.
func (b *Breaker) turnOver() {
	b.epoch++
	b.probes = 0

	if b.circuit.IsOpen() {
		b.opened++
		b.hinted = time.Time{}
	}
}

// Force sets who decides: an operator, whose reason is shown, or the outcomes of calls again, which go on from where they
// were.
func (b *Breaker) Force(m Mode, reason string) {
	if m == Auto {
		reason = ""
	}

	_ = b.change(func() error { b.mode, b.reason = m, reason; return nil })
}

// Hint tells the breaker in which state another instance's breaker for the same target is. While another one is open,
// and no longer than Config.Recovery, a single failure opens this one. A hint alone never refuses a call.
func (b *Breaker) Hint(remote State) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.hinted = time.Time{}
	if remote == Open {
		b.hinted = time.Now().Add(b.cfg.Recovery)
	}
}

// Admits reports whether a call would be permitted now. The answer may be outdated at once.
func (b *Breaker) Admits() bool {
	b.mu.Lock()
	defer b.mu.Unlock()

	switch b.state() {
	case Open:
		return b.mode == Auto && b.circuit.RemainingDelay() == 0
	case HalfOpen:
		return b.probes < b.cfg.Probes
	default:
		return true
	}
}

// Status returns what can be seen of the breaker.
func (b *Breaker) Status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()

	s := Status{
		Name: b.name, State: b.state(), Since: b.since, Mode: b.mode, Reason: b.reason,
		Opened: b.opened, Rejected: b.rejected,
		Failures: int(b.circuit.Metrics().Failures()), Successes: int(b.circuit.Metrics().Successes()),
	}
	if b.mode == Auto {
		s.RetryIn = b.circuit.RemainingDelay()
	}

	return s
}

// state is the state in force.
func (b *Breaker) state() State {
	switch {
	case b.mode == ForceOpen:
		return Open
	case b.mode == ForceClosed:
		return Closed
	case b.circuit.IsOpen():
		return Open
	case b.circuit.IsHalfOpen():
		return HalfOpen
	default:
		return Closed
	}
}

// change does something under the lock and tells of the change afterwards.
func (b *Breaker) change(do func() error) error {
	b.mu.Lock()
	from, mode := b.state(), b.mode
	err := do()
	c := Change{Name: b.name, From: from, To: b.state(), Mode: b.mode, At: time.Now()}

	changed := c.From != c.To || mode != c.Mode
	if c.From != c.To {
		b.since = c.At
	}
	b.mu.Unlock()

	if changed && b.cfg.OnChange != nil {
		b.cfg.OnChange(c)
	}

	return err
}
