package envelope

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// Stats are counts since the [Bus] was made, of this process alone.
type Stats struct {
	Published           uint64  `json:"messages_published"`
	Delivered           uint64  `json:"messages_delivered"`
	Failed              uint64  `json:"messages_failed"` // neither stored nor, by a handler, handled
	Retried             uint64  `json:"messages_retried"`
	DeadLettered        uint64  `json:"messages_dead_lettered"`
	DeliveryFailures    uint64  `json:"delivery_failures"` // handlers that returned an error
	TimeoutFailures     uint64  `json:"timeout_failures"`  // messages that expired
	RetryExhausted      uint64  `json:"retry_exhausted"`
	ActiveSubscriptions int     `json:"active_subscriptions"`
	Components          int     `json:"registered_components"` // that are being handled
	AvgDeliveryMS       float64 `json:"avg_delivery_time_ms"`  // from when the message was made, moving average
	UptimeSeconds       float64 `json:"uptime_seconds"`
	PerSecond           float64 `json:"messages_per_second"`   // published
	SuccessRate         float64 `json:"delivery_success_rate"` // 0 to 1; 1 before the first delivery
}

// averageWeight is how much the last delivery counts in the average.
const averageWeight = 0.1

type stats struct {
	start time.Time

	mu  sync.Mutex
	now Stats
}

// Stats returns the counts so far.
func (b *Bus) Stats() Stats {
	b.stats.mu.Lock()
	s := b.stats.now
	b.stats.mu.Unlock()

	b.mu.Lock()
	s.ActiveSubscriptions = max(len(b.subs)-s.Components, 0)
	b.mu.Unlock()

	s.UptimeSeconds = time.Since(b.stats.start).Seconds()
	s.PerSecond = float64(s.Published) / max(s.UptimeSeconds, 1e-9)
	s.SuccessRate = 1

	if tries := s.Delivered + s.DeliveryFailures; tries > 0 {
		s.SuccessRate = float64(s.Delivered) / float64(tries)
	}

	return s
}

// Health is the outcome of a check.
type Health struct {
	Healthy bool `json:"healthy"`
	// Kind and URL are those of the bus.
	Kind string `json:"kind"`
	URL  string `json:"url"`
	// RoundTrip is how long the bus took to answer.
	RoundTrip time.Duration `json:"round_trip_ns"`
	// Reason says what is wrong; empty when nothing is.
	Reason string `json:"reason,omitempty"`
}

// Health asks the bus for something small. It waits for as long as ctx allows.
func (b *Bus) Health(ctx context.Context) Health {
	info := b.bus.Info()
	h := Health{Kind: info.Kind, URL: info.URL}
	begin := time.Now()

	key, err := subjects.SubscriberKey(subjects.AppSession, "health")
	if err == nil {
		_, err = b.bus.Get(ctx, bus.Sessions, key)
	}

	h.RoundTrip = time.Since(begin)

	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()

	switch {
	case closed:
		h.Reason = ErrClosed.Error()
	case err != nil && !errors.Is(err, bus.ErrNotFound):
		h.Reason = err.Error()
	default:
		h.Healthy = true
	}

	return h
}

func (s *stats) count(f func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()

	f(&s.now)
}

func (s *stats) published()       { s.count(func(n *Stats) { n.Published++ }) }
func (s *stats) failed()          { s.count(func(n *Stats) { n.Failed++ }) }
func (s *stats) retried()         { s.count(func(n *Stats) { n.Retried++ }) }
func (s *stats) expired(n uint64) { s.count(func(now *Stats) { now.TimeoutFailures += n }) }
func (s *stats) component(n int)  { s.count(func(now *Stats) { now.Components += n }) }

func (s *stats) buried(reason string) {
	s.count(func(n *Stats) {
		n.DeadLettered++

		if strings.HasPrefix(reason, reasonExhausted) {
			n.RetryExhausted++
		}
	})
}

func (s *stats) handled(took time.Duration, err error) {
	s.count(func(n *Stats) {
		if err != nil {
			n.DeliveryFailures++
			n.Failed++

			return
		}

		ms := float64(took) / float64(time.Millisecond)
		if n.Delivered > 0 {
			ms = averageWeight*ms + (1-averageWeight)*n.AvgDeliveryMS
		}

		n.AvgDeliveryMS = ms
		n.Delivered++
	})
}
