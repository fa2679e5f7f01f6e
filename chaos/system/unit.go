package system

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/chaos/clock"
	"github.com/woodwork-go/woodwork/chaos/plan"
	"github.com/woodwork-go/woodwork/chaos/proc"
	"github.com/woodwork-go/woodwork/chaos/proxy"
)

const (
	// restartAfter is the wait after a process ended by itself.
	restartAfter = 200 * time.Millisecond
	// startTimeout is how long a process may take until it answers.
	startTimeout = 20 * time.Second
)

// unit is a process and the proxy between it and the server.
type unit struct {
	name    string
	target  plan.Target
	spec    proc.Spec
	address string       // where it answers; "" for one that doesn't
	link    *proxy.Proxy // nil for the server
	clock   *clock.Clock
	tell    func(string)

	mu      sync.Mutex
	busy    bool // suffers a fault
	process *proc.Process
	killed  time.Duration // the wait before the next start, if it was killed
	ended   int           // how often it ended by itself
	changed chan struct{} // closed when process changes
}

func (u *unit) openLink(ctx context.Context, target string) (err error) {
	u.link, err = proxy.Listen(ctx, target)

	return err
}

func (u *unit) closeLink() {
	if u.link != nil {
		u.link.Close()
	}
}

// keep runs the process, again and again, until ctx ends.
func (u *unit) keep(ctx context.Context) {
	for ctx.Err() == nil {
		p, err := proc.Start(ctx, u.spec)
		if err != nil {
			u.tell(err.Error())
			pause(ctx, restartAfter)

			continue
		}
		u.set(p)
		select {
		case <-ctx.Done():
			p.Kill()
		case <-p.Exited():
			p.Kill() // what is left of its group
			pause(ctx, u.gone())
		}
	}
}

// set makes p the present process.
func (u *unit) set(p *proc.Process) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.process = p
	close(u.changed)
	u.changed = make(chan struct{})
}

// gone notes the end of the process and returns the wait before the next one.
func (u *unit) gone() time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	wait := u.killed
	if u.killed == 0 {
		u.ended++
		wait = restartAfter
		u.tell(u.name + " ended by itself")
	}
	u.killed, u.process = 0, nil

	return wait
}

// kill kills the process and returns when the next one runs, which it does not before wait is over.
func (u *unit) kill(ctx context.Context, wait time.Duration) {
	u.mu.Lock()
	p, changed := u.process, u.changed
	if p == nil {
		u.mu.Unlock()

		return
	}
	u.killed = wait
	u.mu.Unlock()
	p.Kill()
	select {
	case <-changed:
	case <-ctx.Done():
	}
}

// stop stops the process for a while. If frozen is set, its monotonic clock stands still meanwhile.
func (u *unit) stop(ctx context.Context, d time.Duration, frozen bool) {
	u.mu.Lock()
	p := u.process
	u.mu.Unlock()
	if p == nil {
		return
	}
	p.Pause()
	defer p.Resume()
	begun := time.Now()
	pause(ctx, d)
	if !frozen {
		return
	}
	// Less than it was stopped for, which it may not be at once: its clock must not go back.
	const settled = 100 * time.Millisecond
	if err := u.clock.Stand(max(0, time.Since(begun)-settled)); err != nil {
		u.tell(err.Error())
	}
}

// step makes the wall clock wrong for a while.
func (u *unit) step(ctx context.Context, by, d time.Duration) {
	for _, wrong := range []time.Duration{by, 0} {
		if err := u.clock.Step(wrong); err != nil {
			u.tell(err.Error())
		}
		if wrong != 0 {
			pause(ctx, d)
		}
	}
}

func (u *unit) exits() int {
	u.mu.Lock()
	defer u.mu.Unlock()

	return u.ended
}

// running returns the present process's number, or 0.
func (u *unit) running() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.process == nil {
		return 0
	}

	return u.process.ID()
}

// acquire reserves the unit for a fault.
func (u *unit) acquire() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.busy {
		return false
	}
	u.busy = true

	return true
}

func (u *unit) release() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.busy = false
}

// answers waits until the unit takes connections, if it ever does.
func (u *unit) answers(ctx context.Context) error {
	if u.address == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", u.address)
		if err == nil {
			return c.Close()
		}
		pause(ctx, 20*time.Millisecond)
		if ctx.Err() != nil {
			return fmt.Errorf("%s does not answer: %w", u.name, err)
		}
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
