package stream_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
	"github.com/woodwork-go/woodwork/framework/bus/redisbus"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

func TestProtocolHoldsOnNATS(t *testing.T) {
	t.Parallel()
	holds(t, onNATS(t, natsbus.Config{InProcess: embeddedtest.RunInProcess(t)}), 150)
}

func TestProtocolHoldsOnNATSCluster(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a cluster takes seconds to start")
	}
	c := embeddedtest.RunCluster(t)
	holds(t, onNATS(t, natsbus.Config{URL: strings.Join(c.URLs(), ","), Replicas: 3}), 60)
}

func TestProtocolHoldsOnRedis(t *testing.T) {
	t.Parallel()
	cfg := redisbus.Config{URL: redistest.Run(t, redistest.Options{Fsync: redistest.EverySecond}).URL()}
	holds(t, func() (bus.Bus, error) { return redisbus.Open(t.Context(), cfg) }, 150)
}

func onNATS(t *testing.T, cfg natsbus.Config) func() (bus.Bus, error) {
	t.Helper()

	return func() (bus.Bus, error) { return natsbus.Open(t.Context(), cfg) }
}

// holds runs the property on a real broker for n cases or a few seconds. There is no shrinking, for which the broker
// is too slow: each case is its own seed, which a failure prints.
func holds(t *testing.T, open func() (bus.Bus, error), n int) {
	t.Helper()
	const enough = 4 * time.Second

	gen := rapid.Custom(func(rt *rapid.T) scenario { return drawScenario(rt, time.Millisecond) })
	begin, cases := time.Now(), 0
	for ; cases < n && time.Since(begin) < enough; cases++ {
		sc := gen.Example(cases)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("the case took too long"))
		err := sc.run(ctx, open, bus.StreamID{Session: fmt.Sprint("session-", cases), Stream: "stream"})
		cancel()
		if err != nil {
			t.Fatalf("case %d: %+v: %v", cases, sc, err)
		}
	}
	t.Logf("%d cases in %v", cases, time.Since(begin).Round(time.Millisecond))
}
