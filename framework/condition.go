package framework

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/call"
	"github.com/woodwork-go/woodwork/framework/registry"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// ErrSick ends a service so much of whose work fails that Config.Monitor says it should make room for another instance.
var ErrSick = errors.New("the instance is sick")

// sickness returns the reason when the instance is sick, so that it drains and ends.
func (p *presence) sickness(ctx context.Context) error {
	select {
	case <-p.monitor.Sick():
		return fmt.Errorf("%w: %s", ErrSick, p.monitor.Problem())
	case <-ctx.Done():
		return nil
	}
}

// worked notes the outcome of a turn, where it says something about the instance.
func (p *presence) worked(ctx context.Context, took time.Duration, err error) {
	_, upstream := errors.AsType[*stream.EndError](err)
	if ctx.Err() != nil || upstream || errors.Is(err, stream.ErrSuperseded) || errors.Is(err, stream.ErrFenced) {
		return
	}

	p.monitor.Observe(took, err != nil)
}

// served notes the outcome of a call. An error with a code of its own is an answer; a caller who left says nothing.
func (p *presence) served(_ string, took time.Duration, err error) {
	p.calls.count(took, err != nil)

	remote, coded := errors.AsType[*bus.RemoteError](err)

	switch {
	case err == nil:
		p.monitor.Observe(took, false)
	case coded && (remote.Code == call.CodeUnavailable || remote.Code == bus.CodeInternal):
		p.monitor.Observe(took, true)
	case !coded && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded):
		p.monitor.Observe(took, true)
	}
}

// maxBreakers is how many breakers an instance tells of, so that its entry in the registry stays small.
const maxBreakers = 100

// told are the breakers for the registry: all, or of very many the first ones about which there is something to say.
func told(all []breaker.Status) []breaker.Status {
	if len(all) <= maxBreakers {
		return all
	}

	slices.SortStableFunc(all, func(a, b breaker.Status) int {
		switch {
		case a.Usual() == b.Usual():
			return 0
		case b.Usual():
			return -1
		default:
			return 1
		}
	})

	return all[:maxBreakers]
}

// condition is the instance's health in detail.
type condition struct {
	Ready    bool              `json:"ready"`
	Problem  string            `json:"problem,omitempty"`
	Instance registry.Instance `json:"instance"`
	Listed   bool              `json:"listed"`
	Bus      string            `json:"bus"`
	URL      string            `json:"bus_url"`
	Breakers []breaker.Status  `json:"breakers"`
}

func (p *presence) condition() condition {
	info := p.bus.Info()
	c := condition{Instance: p.Instance(), Listed: p.Listed(), Bus: info.Kind, URL: info.URL, Breakers: p.breakers()}
	c.Instance.Report = p.report()

	if err := p.ready(); err != nil {
		c.Problem = err.Error()
	} else {
		c.Ready = true
	}

	return c
}

// readyz says whether the instance takes work: in words, or in detail to whoever asks for JSON.
func (h *health) readyz(w http.ResponseWriter, r *http.Request) {
	p := h.self.Load()
	if p == nil || !strings.Contains(r.Header.Get("Accept"), "application/json") && !r.URL.Query().Has("detail") {
		answer(w, h.check((*presence).ready, errState))

		return
	}

	c := p.condition()

	body, err := json.Marshal(c)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)

		return
	}

	w.Header().Set("Content-Type", "application/json")

	if !c.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}

	_, _ = w.Write(body) // fails when whoever asked has left
}
