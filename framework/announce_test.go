package framework_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/call"
	"github.com/woodwork-go/woodwork/framework/registry"
)

// board is a bus in memory whose broker shows instances.
type board struct {
	bus.Bus

	refuse    error
	announced chan bus.Announcement
	stopped   chan struct{}
}

func newBoard() *board {
	return &board{
		Bus: membus.New(membus.Config{}), announced: make(chan bus.Announcement, 1), stopped: make(chan struct{}, 1),
	}
}

func (b *board) Announce(_ context.Context, a bus.Announcement) (func(), error) {
	b.announced <- a

	return func() { b.stopped <- struct{}{} }, b.refuse
}

// idle is a service that can do both kinds of work.
func idle() framework.Service {
	return framework.Service{
		Name: "svc", Kind: "test", Version: "1.2.3", Concurrency: 3, CallLimit: 4,
		Handler: func(context.Context, *framework.Turn) error { return nil },
		Calls: map[string]call.Handler{
			"fail": func(context.Context, *call.Incoming) error { return errors.New("no") },
		},
	}
}

// What the broker's tools are told are the counters of the moment, to the end of the drain.
func TestAnInstanceIsAnnounced(t *testing.T) {
	t.Parallel()

	b := newBoard()
	user := connect(t, framework.Config{Bus: b})
	events := changes(t, user)
	stop := serve(t, idle(), framework.Config{Bus: b, Instance: "one"})
	event(t, events, "svc", inState(registry.Ready))

	a := <-b.announced
	if a.At != (bus.Endpoint{Component: "svc", Instance: "one"}) || a.Version != "1.2.3" || a.Metadata["type"] != "test" {
		t.Errorf("announced is %+v", a)
	}

	if _, has := a.Metadata["health"]; has {
		t.Errorf("it has no health endpoint, but says %v", a.Metadata)
	}

	if _, err := user.Call(t.Context(), "svc", call.Request{Operation: "fail"}); err == nil {
		t.Fatal("the call was to fail")
	}

	all := a.Work()
	if len(all) != 2 || all[0].Kind != bus.WorkTurns || all[0].Done != 0 || all[1].Kind != bus.WorkCalls {
		t.Fatalf("its work is %+v", all)
	}

	if w := all[1]; w.Done != 1 || w.Failed != 1 {
		t.Errorf("its calls are %+v", w)
	}

	var now struct {
		State registry.State `json:"state"`
		Load  registry.Load  `json:"load"`
	}

	if err := json.Unmarshal(all[0].Data, &now); err != nil || now.State != registry.Ready || now.Load.Limit != 7 {
		t.Errorf("it says %s, %v", all[0].Data, err)
	}

	if err := stop(); err != nil {
		t.Error(err)
	}

	<-b.stopped
}

func TestAServiceThatCannotBeAnnouncedRuns(t *testing.T) {
	t.Parallel()

	b := newBoard()
	b.refuse = bus.ErrUnknown
	events := changes(t, connect(t, framework.Config{Bus: b}))
	stop := serve(t, idle(), framework.Config{Bus: b})
	event(t, events, "svc", inState(registry.Ready))

	if err := stop(); err != nil {
		t.Error(err)
	}
}
