package load

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/woodwork-go/woodwork/chaos/check"
)

// whim is what a lifelong session's user does with a turn besides posting it.
type whim int

const (
	nothing   whim = iota
	cancelOne      // cancels it while it is answered
	cancelAll      // cancels all turns of the session
	interrupt      // posts it so that it cancels the earlier ones
	leaveIt        // does nothing for a while afterwards
)

// draw draws what the user does.
func (s *session) draw() whim {
	const (
		ones, alls, interrupts, leaves = 0.15, 0.05, 0.1, 0.1
	)
	if !s.lifelong() {
		return nothing
	}
	p := s.random.Float64()
	for _, w := range []struct {
		whim  whim
		share float64
	}{{cancelOne, ones}, {cancelAll, alls}, {interrupt, interrupts}, {leaveIt, leaves}} {
		if p -= w.share; p < 0 {
			return w.whim
		}
	}

	return nothing
}

// straggle is how long a request may take effect after its client has given it up.
const straggle = 15 * time.Second

// mayCancel notes that all turns that were posted may be cancelled from now on. The lock is held.
func (s *session) mayCancel() {
	for i := range s.turns {
		t := &s.turns[i]
		if t.Cancel.IsZero() && s.unseen(t) {
			t.Cancel = time.Now()
		}
	}
}

// unseen reports whether a reader has not seen the end of a turn. The lock is held.
func (s *session) unseen(t *check.Turn) bool {
	for _, r := range s.readers {
		if !r.ended[t.ID] {
			return true
		}
	}

	return false
}

// act does what the user wants after turn i was posted.
func (s *session) act(ctx context.Context, well <-chan struct{}, w whim, i int) {
	const (
		least = 300 * time.Millisecond // so that some are cancelled before they begin, and most later
		most  = 1500 * time.Millisecond
	)
	switch w {
	case cancelOne, cancelAll:
		pause(ctx, least+time.Duration(s.random.Float64()*float64(most-least)))
		s.cancel(ctx, well, w, i)
	case leaveIt:
		const share, more = 0.3, 1.2 // of the age, so that some find nothing left of the session
		ctx, cancel := context.WithTimeout(ctx, time.Duration((share+s.random.Float64()*more)*float64(s.cfg.Age)))
		defer cancel()
		select {
		case <-ctx.Done():
		case <-well:
		}
	case nothing, interrupt:
	}
}

// cancel cancels turn i, or all of the session, until that is accepted or long after everything is well again.
func (s *session) cancel(ctx context.Context, well <-chan struct{}, w whim, i int) {
	ctx, stop := s.patient(ctx, well)
	defer stop()
	s.mu.Lock()
	path := "/v1/sessions/" + s.id + "/turns"
	if w == cancelAll {
		s.mayCancel()
	} else {
		s.turns[i].Cancel = time.Now()
		path += "/" + s.turns[i].ID
	}
	s.mu.Unlock()
	for try := 0; ctx.Err() == nil; try++ {
		inputs := s.edges.Inputs()
		if s.send(ctx, http.MethodDelete, inputs[(s.number+i+try)%len(inputs)]+path, nil, "") == nil {
			break
		}
		s.mu.Lock()
		s.until = time.Now().Add(straggle)
		s.mu.Unlock()
		pause(ctx, retryWait)
	}
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w == cancelOne {
		s.turns[i].Cancelled = time.Now()
	}
}

// patient returns a context that ends long after everything is well again.
func (s *session) patient(ctx context.Context, well <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-well:
			pause(ctx, s.cfg.Quiet)
			cancel()
		case <-ctx.Done():
		}
	}()

	return ctx, cancel
}

// send sends a request once. Only the right status says that it was done.
func (s *session) send(ctx context.Context, method, url string, body io.Reader, key string) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		text, _ := io.ReadAll(response.Body)

		return fmt.Errorf("%s: %s", response.Status, text)
	}

	return nil
}
