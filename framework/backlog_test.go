package framework_test

import (
	"context"
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/registry"
)

// TestABacklogIsReported to everybody by the heartbeat, and by the health endpoint; it goes when the work is done.
func TestABacklogIsReported(t *testing.T) {
	t.Parallel()
	onEachBus(t, func(t *testing.T, open func() framework.Config) {
		const sessions = 3

		cfg := open()
		cfg.Heartbeat, cfg.Health = 50*time.Millisecond, freeAddress(t)
		goOn := make(chan struct{})
		user := connect(t, open())

		serve(t, framework.Service{
			Name: "slow", Concurrency: 1,
			Handler: func(context.Context, *framework.Turn) error { <-goOn; return nil },
		}, cfg)

		for i := range sessions {
			post := framework.Post{Session: "s" + strconv.Itoa(i), Component: "slow"}
			if _, err := user.Post(t.Context(), post, []byte("go")); err != nil {
				t.Fatal(err)
			}
		}

		r, err := user.Registry(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		published := func() *bus.Backlog {
			for _, i := range r.Find(registry.Query{Component: "slow"}) {
				return i.Backlog
			}

			return nil
		}

		until(t, func() bool { b := published(); return b != nil && b.Waiting == sessions-1 && b.Oldest > 0 })

		var got struct{ Instance registry.Instance }
		if !fetch(t, "http://"+cfg.Health+"/readyz?detail", &got) || got.Instance.Backlog.Waiting != sessions-1 {
			t.Errorf("the health endpoint says %+v", got.Instance.Backlog)
		}

		close(goOn)
		until(t, func() bool { b := published(); return b != nil && *b == bus.Backlog{} })
	})
}

// A component that takes no turns has no backlog.
func TestNoBacklogWithoutAHandler(t *testing.T) {
	t.Parallel()

	addr := freeAddress(t)
	running(t, framework.Service{
		Name: "svc", Run: func(ctx context.Context, _ *framework.Client) error { <-ctx.Done(); return nil },
	}, framework.Config{Bus: membus.New(membus.Config{}), Health: addr})

	var got struct{ Instance registry.Instance }

	until(t, func() bool { return fetch(t, "http://"+addr+"/readyz?detail", &got) && got.Instance.Beat > 0 })

	if got.Instance.Backlog != nil || !got.Instance.Connection.Up {
		t.Errorf("got %+v", got.Instance.Report)
	}
}

// announced is a bus whose broker has tools of its own.
type announced struct {
	bus.Bus

	told chan bus.Announcement
}

func (b announced) Announce(_ context.Context, a bus.Announcement) (func(), error) {
	b.told <- a

	return func() {}, nil
}

// TestTheBrokersToolsSeeTheReport with all that the registry has of it.
func TestTheBrokersToolsSeeTheReport(t *testing.T) {
	t.Parallel()

	b := announced{membus.New(membus.Config{}), make(chan bus.Announcement, 1)}
	serve(t, framework.Service{
		Name: "slow", Handler: func(context.Context, *framework.Turn) error { return nil },
	}, framework.Config{Bus: b})

	a := <-b.told

	var got registry.Report

	until(t, func() bool {
		all := a.Work()

		return len(all) == 1 && json.Unmarshal(all[0].Data, &got) == nil && got.Backlog != nil
	})

	if !got.Connection.Up || got.Connection.Since.IsZero() || got.Backlog.Waiting != 0 {
		t.Errorf("got %+v", got)
	}
}
