package turn

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/subjects"
)

// happening is what an event of a session's log of failures says.
type happening string

const (
	// begun: an execution of a turn that had been handed out or tried before. One that says nothing more has died.
	begun happening = "begun"
	// failed: an execution ended with an error.
	failed happening = "failed"
	// yielded: an execution ended without fault, as when its instance drained; it doesn't count.
	yielded happening = "yielded"
)

// event is one line of a session's log of failures. A turn that succeeds at once never writes one.
type event struct {
	Turn      string    `json:"turn"`
	Component string    `json:"component"`
	Execution string    `json:"execution"`
	Happening happening `json:"happening"`
	Attempt   int       `json:"attempt"`
	Instance  string    `json:"instance"`
	Reason    string    `json:"reason,omitempty"`
	// Wait is how long after At the turn is to be tried again.
	Wait time.Duration `json:"wait_ns,omitempty"`
	// Final: the turn is not to be tried again.
	Final bool `json:"final,omitempty"`
	// Silent: before this execution there was another one that has stored something and left no event.
	Silent bool      `json:"silent,omitempty"`
	At     time.Time `json:"at"`
	// Failed and Died are how many executions before this one failed and died: their own events may have expired.
	Failed int `json:"failed,omitempty"`
	Died   int `json:"died,omitempty"`
}

const (
	// keptReason is how much of a reason an event holds, in bytes.
	keptReason = 1 << 10
	// keptAttempts is how many attempts a dead letter lists, the last ones.
	keptAttempts = 32
)

// failures are the events of one turn, oldest first.
type failures []event

// failuresOf reads what is known of a turn's earlier executions.
func failuresOf(ctx context.Context, store *stream.Store, r Record) (failures, error) {
	chunks, err := store.Shared(ctx, failureLog(r.Session))
	if err != nil {
		return nil, fmt.Errorf("read the log of failures of session %s: %w", r.Session, err)
	}

	known := failures{}

	for _, chunk := range chunks {
		var e event
		if err := json.Unmarshal(chunk.Data, &e); err != nil {
			continue // one that can't be read must not hold up the session
		}

		if e.Turn == r.ID && e.Component == r.Component {
			known = append(known, e)
		}
	}

	return known, nil
}

func failureLog(session string) bus.StreamID {
	return bus.StreamID{Session: session, Stream: subjects.FailureLog}
}

// attempts are executions that count, oldest first.
type attempts []attempt

// attempt is one execution that failed or died.
type attempt struct {
	bus.DeadAttempt

	died bool
}

// failed returns how many of them failed.
func (a attempts) failed() int { return len(a) - a.died() }

// died returns how many of them died.
func (a attempts) died() int {
	n := 0

	for _, one := range a {
		if one.died {
			n++
		}
	}

	return n
}

// last returns why the last of them ended.
func (a attempts) last() string {
	if len(a) == 0 {
		return died
	}

	return a[len(a)-1].Reason
}

// summary says how many there were, in front of the reason of the last one.
func (a attempts) summary() string {
	failed, died := a.failed(), a.died()

	switch {
	case len(a) < 2: //nolint:mnd // one says all by itself
		return ""
	case died == 0:
		return fmt.Sprintf("failed %d times; last: ", failed)
	case failed == 0:
		return fmt.Sprintf("died %d times; last: ", died)
	default:
		return fmt.Sprintf("failed %d times and died %d times; last: ", failed, died)
	}
}

// kept returns what a dead letter lists of them.
func (a attempts) kept() []bus.DeadAttempt {
	a = a[max(0, len(a)-keptAttempts):]

	list := make([]bus.DeadAttempt, len(a))
	for i, one := range a {
		list[i] = one.DeadAttempt
	}

	return list
}

// attempts returns the executions that count, but for the one given: those that failed and those that died. An event that
// is stored twice counts once.
func (f failures) attempts(but string) attempts {
	var (
		list   attempts
		silent bool
		place  = map[string]int{} // of an execution in list
		over   = map[string]bool{but: true}
	)

	for _, e := range f {
		over[e.Execution] = over[e.Execution] || e.Happening == yielded
	}

	if len(f) > 0 {
		list = f[0].forgotten()
	}

	for _, e := range f {
		if e.Silent && !silent { // there is one before all others, however many say so
			silent = true
			list = append(list, attempt{bus.DeadAttempt{Reason: died, At: e.At}, true})
		}

		if over[e.Execution] {
			continue
		}

		if i, known := place[e.Execution]; !known {
			place[e.Execution] = len(list)
			list = append(list, e.attempt())
		} else if e.Happening == failed {
			list[i] = e.attempt()
		}
	}

	return list
}

// forgotten returns the executions before that of an event, of which nothing is known but how they ended.
func (e event) forgotten() attempts {
	list := make(attempts, 0, e.Failed+e.Died)
	for range e.Failed {
		list = append(list, attempt{bus.DeadAttempt{Reason: "failed; the reason has expired", At: e.At}, false})
	}

	for range e.Died {
		list = append(list, attempt{bus.DeadAttempt{Reason: died, At: e.At}, true})
	}

	return list
}

// attempt returns what became of the execution of an event as far as that says.
func (e event) attempt() attempt {
	a := attempt{bus.DeadAttempt{Attempt: e.Attempt, Instance: e.Instance, Reason: e.Reason, At: e.At}, false}
	if e.Happening == begun {
		a.Reason, a.died = died, true
	}

	return a
}

// wait returns how long it is until the turn is to be tried again; not longer than was set, whatever the clocks say.
func (f failures) wait(now time.Time) time.Duration {
	if len(f) == 0 {
		return 0
	}

	last := f[len(f)-1]

	return max(min(last.At.Add(last.Wait).Sub(now), last.Wait), 0)
}

// died is the reason of an attempt that nobody could give one for.
const died = "the instance died, or lost the turn, while it worked on it"

// final returns the reason for which the turn is not to be tried again.
func (f failures) final() (string, bool) {
	for _, e := range f {
		if e.Final {
			return e.Reason, true
		}
	}

	return "", false
}

func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}

	for limit > 0 && s[limit]&0xc0 == 0x80 { // not inside a character
		limit--
	}

	return s[:limit] + "…"
}
