package natsbus

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// renewals is how often a lease is renewed within its length. Each renewal stands for itself, so a lease outlives
// answers that take up to two thirds of it.
const renewals = 3

// term is the end of a lease by the two clocks of a process. The monotonic one stands still while the machine is suspended,
// and others have the mailbox when it goes on; the other one may be set. A lease has passed when one of them says so.
type term struct{ mono, wall time.Time }

// termUntil returns the term that ends at a time that was reckoned from this process's clock.
func termUntil(until time.Time) *term { return &term{mono: until, wall: until.Round(0)} }

// left returns how much of a lease is left.
func (t *term) left() time.Duration {
	now := time.Now()

	return min(t.mono.Sub(now), t.wall.Sub(now.Round(0)))
}

// leases renews all claims of a worker from one ticker.
//
// A lease is longer only once the consumer has answered the renewal, for a delivery may be renewed that another worker
// has by now: the server tells deliveries of one entry apart in no other way than by their time. So an answer that comes
// when the lease has passed is worth nothing, and one that comes before proves that nobody else had the entry when the
// server renewed it. The new lease counts from when the renewal was sent. Each claim ends by a timer of its own, for who
// sends renewals may wait: a connection that takes nothing holds up all that is sent.
type leases struct {
	bus    *Bus
	length time.Duration
	began  time.Time // what the times in answers count from
	prefix string    // of the subjects of answers, with the last dot

	mu     sync.Mutex
	last   uint64
	claims map[uint64]*claim
}

// listen begins to receive answers, until stop is called.
func (l *leases) listen(b *Bus, length time.Duration) (stop func(), err error) {
	l.bus, l.length, l.claims = b, length, map[uint64]*claim{}
	l.began, l.prefix = time.Now(), b.nc.NewInbox()+"."

	sub, err := b.nc.Subscribe(l.prefix+"*", l.answered)
	if err != nil {
		return nil, fmt.Errorf("subscribe to renewals: %w", mapError(err))
	}

	return func() { _ = sub.Unsubscribe() }, nil // fails when the connection has ended, which ends it too
}

func (l *leases) add(c *claim) {
	l.mu.Lock()
	defer l.mu.Unlock()

	l.last++
	c.id = l.last
	l.claims[c.id] = c
}

func (l *leases) remove(c *claim) {
	l.mu.Lock()
	defer l.mu.Unlock()

	delete(l.claims, c.id)
}

func (l *leases) all() []*claim {
	l.mu.Lock()
	defer l.mu.Unlock()

	return slices.Collect(maps.Values(l.claims))
}

// renew renews the claims until ctx ends.
func (l *leases) renew(ctx context.Context) {
	tick := time.NewTicker(l.length / renewals)
	defer tick.Stop()

	for {
		select {
		case <-tick.C:
			l.renewAll()
		case <-ctx.Done():
			return
		}
	}
}

// renewAll sends a sign of life for each claim. A process that was paused finds its leases passed by its own clock,
// before it could renew what others may have.
func (l *leases) renewAll() {
	for _, c := range l.all() {
		if !c.expired() {
			l.sign(c)
		}
	}
}

// sign sends a sign of life. One that can't be sent is not answered. The answer says when it was sent.
func (l *leases) sign(c *claim) {
	sent := time.Now()
	answer := l.prefix + strconv.FormatUint(c.id, 36) + "-" + strconv.FormatInt(int64(sent.Sub(l.began)), 36) + "-" +
		strconv.FormatInt(sent.UnixNano(), 36)

	_ = l.bus.nc.PublishRequest(c.ack, answer, []byte(ackWorking))
}

// answered extends the lease whose renewal the consumer answered.
func (l *leases) answered(m *nats.Msg) {
	id, sent, wall, ok := parseRenewal(strings.TrimPrefix(m.Subject, l.prefix))
	if !ok || value(m.Header, headerStatus) != "" { // a status says that nobody has heard it
		return
	}

	l.mu.Lock()
	c := l.claims[id]
	l.mu.Unlock()

	if c != nil {
		c.extend(&term{mono: l.began.Add(sent + l.length), wall: wall.Add(l.length)})
	}
}

func parseRenewal(token string) (id uint64, sent time.Duration, wall time.Time, ok bool) {
	parts := strings.Split(token, "-")
	if len(parts) != 3 { //nolint:mnd // as sign writes it
		return 0, 0, wall, false
	}

	id, idErr := strconv.ParseUint(parts[0], 36, 64)
	offset, offsetErr := strconv.ParseInt(parts[1], 36, 64)
	nanos, nanosErr := strconv.ParseInt(parts[2], 36, 64)

	return id, time.Duration(offset), time.Unix(0, nanos), idErr == nil && offsetErr == nil && nanosErr == nil
}
