package natsbus_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
	"github.com/woodwork-go/woodwork/framework/call"
	"github.com/woodwork-go/woodwork/framework/registry"
)

// patience bounds waits for what must happen.
const patience = 20 * time.Second

// crowd is two components with two instances each, and a connection that asks as the nats command line does.
type crowd struct {
	t      *testing.T
	nc     *nats.Conn
	client *framework.Client
	ends   map[string]context.CancelFunc // by instance
	ended  map[string]chan error
}

func newCrowd(t *testing.T) *crowd {
	t.Helper()

	url := embeddedtest.Run(t).URL()
	c := &crowd{t: t, ends: map[string]context.CancelFunc{}, ended: map[string]chan error{}}

	var err error
	if c.nc, err = nats.Connect(url); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(c.nc.Close)

	if c.client, err = framework.Connect(t.Context(), framework.Config{URL: url}); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = c.client.Close(context.WithoutCancel(t.Context())) })

	for _, id := range []string{"one", "two"} {
		c.start("adder-"+id, framework.Service{
			Name: "adder", Kind: "tool", Capabilities: []string{"sums", "products"}, Version: "v1.2.3-rc.1", CallLimit: 7,
			Calls: map[string]call.Handler{
				"add":  func(_ context.Context, in *call.Incoming) error { return in.Reply([]byte("5")) },
				"fail": func(context.Context, *call.Incoming) error { return errors.New("no paper") },
			},
		}, url)
		c.start("echo_"+id, framework.Service{
			Name: "echo", Version: "devel", Handler: func(ctx context.Context, turn *framework.Turn) error {
				said, err := turn.Input.ReadAll(ctx)

				return errors.Join(err, turn.Output.Send(ctx, said))
			},
		}, url)
	}

	c.settled(4)

	return c
}

func (c *crowd) start(id string, s framework.Service, url string) {
	ctx, cancel := context.WithCancel(c.t.Context())
	ended := make(chan error, 1)
	c.ends[id], c.ended[id] = cancel, ended

	go func() {
		ended <- framework.Run(ctx, s, framework.Config{URL: url, Instance: id})
		close(ended)
	}()

	c.t.Cleanup(func() { cancel(); <-ended })
}

// settled waits until so many instances are ready.
func (c *crowd) settled(n int) {
	c.t.Helper()

	r, err := c.client.Registry(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()

	for range r.Events(ctx) {
		if len(r.Find(registry.Query{State: registry.Ready})) == n {
			return
		}
	}

	c.t.Fatalf("there are not %d instances", n)
}

// ask returns the answers of n services, by their ids, with the answers' types checked.
func ask[T any](c *crowd, n int, verb micro.Verb, who ...string) map[string]T {
	c.t.Helper()

	subject, err := micro.ControlSubject(verb, append(who, "", "")[0], append(who, "", "")[1])
	if err != nil {
		c.t.Fatal(err)
	}

	inbox := c.nc.NewInbox()

	sub, err := c.nc.SubscribeSync(inbox)
	if err != nil {
		c.t.Fatal(err)
	}

	defer func() { _ = sub.Unsubscribe() }()

	if err := c.nc.PublishRequest(subject, inbox, nil); err != nil {
		c.t.Fatal(err)
	}

	all := map[string]T{}

	for range n {
		m, err := sub.NextMsg(patience)
		if err != nil {
			c.t.Fatalf("%s has %d answers, want %d: %v", subject, len(all), n, err)
		}

		var (
			base struct {
				ID   string `json:"id"`
				Type string `json:"type"`
			}
			full T
		)

		if err := errors.Join(json.Unmarshal(m.Data, &base), json.Unmarshal(m.Data, &full)); err != nil {
			c.t.Fatalf("%s: %v", m.Data, err)
		}

		want := map[micro.Verb]string{
			micro.PingVerb: micro.PingResponseType, micro.InfoVerb: micro.InfoResponseType, micro.StatsVerb: micro.StatsResponseType,
		}[verb]
		if base.Type != want {
			c.t.Errorf("%s is answered with type %s", subject, base.Type)
		}

		all[base.ID] = full
	}

	if len(all) != n {
		c.t.Errorf("%s has answers of %d services, want %d", subject, len(all), n)
	}

	return all
}

func ids[T any](all map[string]T) []string {
	var list []string
	for id := range all {
		list = append(list, id)
	}

	slices.Sort(list)

	return list
}

// Every instance is a micro service: found among all, by its name, and by its id.
func TestInstancesAreMicroServices(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	everyone := []string{"adder-one", "adder-two", "echo_one", "echo_two"}

	if diff := cmp.Diff(everyone, ids(ask[micro.Ping](c, 4, micro.PingVerb))); diff != "" {
		t.Errorf("ping of all (-want +got):\n%s", diff)
	}

	if diff := cmp.Diff(everyone[:2], ids(ask[micro.Ping](c, 2, micro.PingVerb, "adder"))); diff != "" {
		t.Errorf("ping of the adders (-want +got):\n%s", diff)
	}

	if got := ids(ask[micro.Info](c, 4, micro.InfoVerb)); !slices.Equal(got, everyone) {
		t.Errorf("info of all is of %v", got)
	}

	info := ask[micro.Info](c, 1, micro.InfoVerb, "adder", "adder-two")["adder-two"]
	if info.Name != "adder" || info.Version != "1.2.3-rc.1" || info.Metadata["capabilities"] != "sums,products" ||
		info.Metadata["type"] != "tool" || info.Metadata["app"] != "default" || info.Metadata["pid"] == "" || info.Description == "" {
		t.Errorf("info says %+v", info)
	}

	if len(info.Endpoints) != 1 || info.Endpoints[0].Name != "calls" || info.Endpoints[0].Subject == "" {
		t.Errorf("its endpoints are %+v", info.Endpoints)
	}

	ping := ask[micro.Ping](c, 2, micro.PingVerb, "echo")["echo_one"]
	if ping.Version != "0.0.0" || ping.Metadata["version"] != "devel" {
		t.Errorf("ping says %+v", ping)
	}
}

// What micro shows as statistics is what the instance has counted at that moment.
func TestStatisticsOfMicroServices(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)

	for _, operation := range []string{"add", "add", "fail"} {
		_, err := c.client.Call(t.Context(), "adder", call.Request{Operation: operation})
		if (err != nil) != (operation == "fail") {
			t.Fatalf("%s: %v", operation, err)
		}
	}

	if _, err := c.client.Post(t.Context(), framework.Post{Session: "s", Component: "echo"}, []byte("hi")); err != nil {
		t.Fatal(err)
	}

	type sums struct {
		Requests, Errors int
		Busy             bool
	}

	count := func(name, kind string) (s sums) {
		for id, stats := range ask[micro.Stats](c, 2, micro.StatsVerb, name) {
			if len(stats.Endpoints) != 1 || stats.Endpoints[0].Name != kind || stats.Started.IsZero() {
				t.Fatalf("%s says %+v", id, stats)
			}

			e := stats.Endpoints[0]
			s.Requests += e.NumRequests
			s.Errors += e.NumErrors
			s.Busy = s.Busy || e.ProcessingTime > 0 && e.AverageProcessingTime > 0

			var now struct {
				State registry.State `json:"state"`
				Load  registry.Load  `json:"load"`
			}

			if err := json.Unmarshal(e.Data, &now); err != nil || now.State != registry.Ready || now.Load.Limit == 0 {
				t.Errorf("the data of %s is %s: %v", id, e.Data, err)
			}
		}

		return s
	}

	for deadline := time.Now().Add(patience); ; {
		calls, turns := count("adder", "calls"), count("echo", "turns")
		if calls == (sums{3, 1, true}) && turns == (sums{1, 0, true}) {
			break
		}

		if time.Now().After(deadline) {
			t.Fatalf("counted are %+v calls and %+v turns", calls, turns)
		}
	}

	ask[micro.Stats](c, 4, micro.StatsVerb)
	c.ends["echo_one"]()

	if err := <-c.ended["echo_one"]; err != nil {
		t.Error(err)
	}

	subject, err := micro.ControlSubject(micro.PingVerb, "echo", "echo_one")
	if err != nil {
		t.Fatal(err)
	}

	if m, err := c.nc.Request(subject, nil, patience); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("an instance that has ended answers %+v, %v", m, err)
	}
}

func openBus(t *testing.T, cfg natsbus.Config) *natsbus.Bus {
	t.Helper()

	b, err := natsbus.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = b.Close(context.WithoutCancel(t.Context())) })

	return b
}

func TestAnnouncementsThatCannotBe(t *testing.T) {
	t.Parallel()
	b := openBus(t, natsbus.Config{InProcess: embeddedtest.RunInProcess(t)})

	valid := bus.Announcement{At: bus.Endpoint{Component: "a", Instance: "x"}}

	for _, at := range []bus.Endpoint{{}, {Component: "a b", Instance: "x"}, {Component: "a", Instance: "x.y"}} {
		if _, err := b.Announce(t.Context(), bus.Announcement{At: at}); !errors.Is(err, bus.ErrInvalid) {
			t.Errorf("announce %v: %v", at, err)
		}
	}

	stop, err := b.Announce(t.Context(), valid)
	if err != nil {
		t.Fatal(err)
	}

	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	stop()
	stop()

	if _, err := b.Announce(t.Context(), valid); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("announce on a closed bus: %v", err)
	}
}
