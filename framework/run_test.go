package framework_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// journal records what happened in which order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()

	j.lines = append(j.lines, line)
}

// TestDrainOrder: no more turns are taken, the running one finishes and is stored, and only then the edge's resources
// and the client end. The bus was given open, so it stays open.
func TestDrainOrder(t *testing.T) {
	t.Parallel()

	broker := membus.NewBroker(membus.Config{})
	record := &journal{}
	b := broker.Open()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()

	began, finish := make(chan struct{}), make(chan struct{})
	service := framework.Service{
		Name: "slow",
		Handler: func(ctx context.Context, turn *framework.Turn) error {
			close(began)
			<-finish
			record.add("handled")

			return turn.Output.Send(ctx, []byte("done"))
		},
		Run: func(ctx context.Context, _ *framework.Client) error {
			<-ctx.Done()
			record.add("intake stopped")
			close(finish)

			return nil
		},
	}

	ended := make(chan error, 1)
	go func() { ended <- framework.Run(ctx, service, framework.Config{Bus: b}) }()

	user := connect(t, framework.Config{Bus: broker.Open()})
	for _, id := range []string{"t1", "t2"} {
		if _, err := user.Post(t.Context(), framework.Post{Session: "s", Component: "slow", ID: id}, []byte("go")); err != nil {
			t.Fatal(err)
		}
	}

	<-began
	stop()

	if err := <-ended; err != nil {
		t.Fatalf("run: %v", err)
	}

	record.add("ended")

	if diff := cmp.Diff([]string{"intake stopped", "handled", "ended"}, record.lines); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}

	follower, err := user.Follow(t.Context(), stream.FollowConfig{Session: "s"})
	if err != nil {
		t.Fatal(err)
	}
	defer follower.Close()

	if got := text(t, follower); got != "done" {
		t.Errorf("what the running turn sent: %q, want it stored", got)
	}

	if err := errors.Join(b.Close(t.Context()), b.Close(t.Context())); err != nil {
		t.Errorf("close twice: %v", err)
	}
}

func TestRunRefusesAServiceThatCantWork(t *testing.T) {
	t.Parallel()

	err := framework.Run(t.Context(), framework.Service{Name: "a.b", To: []string{"c d"}}, framework.Config{})

	if _, ok := errors.AsType[*framework.UsageError](err); !ok {
		t.Fatalf("error %v, want a usage error", err)
	}

	for _, want := range []string{`"a.b"`, `"c d"`, "Handler"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error %q does not name %s", err, want)
		}
	}
}

func TestASetupThatFailsEndsTheService(t *testing.T) {
	t.Parallel()

	boom := errors.New("boom")
	err := framework.Run(t.Context(), framework.Service{
		Name:  "svc",
		Setup: func(context.Context, *framework.Client) error { return boom },
		Run:   func(context.Context, *framework.Client) error { return nil },
	}, framework.Config{Bus: membus.New(membus.Config{})})

	if !errors.Is(err, boom) {
		t.Errorf("error %v, want boom", err)
	}
}

func TestToldToEndBeforeItBeganIsNoFailure(t *testing.T) {
	t.Parallel()

	ctx, stop := context.WithCancel(t.Context())
	stop()

	service := framework.Service{Name: "svc", Run: func(context.Context, *framework.Client) error { return nil }}
	if err := framework.Run(ctx, service, framework.Config{URL: embeddedtest.Run(t).URL()}); err != nil {
		t.Errorf("error %v, want none", err)
	}
}

func TestHealthSaysWhenTheServiceIsReady(t *testing.T) {
	t.Parallel()

	addr := freeAddress(t)
	ctx, stop := context.WithCancel(t.Context())

	var before error

	service := framework.Service{
		Name: "svc",
		Setup: func(ctx context.Context, _ *framework.Client) error {
			before = framework.CheckHealth(ctx, "http://"+addr+"/readyz")

			return framework.CheckHealth(ctx, "http://"+addr+"/healthz")
		},
		Run: func(ctx context.Context, _ *framework.Client) error { <-ctx.Done(); return nil },
	}

	ended := make(chan error, 1)
	go func() {
		ended <- framework.Run(ctx, service, framework.Config{Bus: membus.New(membus.Config{}), Health: addr})
	}()

	until(t, func() bool { return framework.CheckHealth(t.Context(), "http://"+addr+"/readyz") == nil })
	stop()

	if err := <-ended; err != nil || before == nil {
		t.Errorf("ended with %v; readiness before the set-up was done: %v, want an error", err, before)
	}
}

// until repeats a request to another goroutine's server until it holds; the test's own deadline bounds it.
func until(t *testing.T, holds func() bool) {
	t.Helper()

	for !holds() {
		if t.Context().Err() != nil {
			t.Fatal("it never held")
		}
	}
}

// freeAddress returns an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()

	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()

	return s.Listener.Addr().String()
}
