package framework_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/call"
	"github.com/woodwork-go/woodwork/framework/monitor"
	"github.com/woodwork-go/woodwork/framework/registry"
)

// TestASickInstanceDrainsAndEnds, and says why.
func TestASickInstanceDrainsAndEnds(t *testing.T) {
	t.Parallel()

	broker := membus.NewBroker(membus.Config{})
	client := connect(t, framework.Config{Bus: broker.Open()})
	ended := make(chan error, 1)

	go func() {
		ended <- framework.Run(t.Context(), framework.Service{
			Name: "tool", MaxAttempts: 1,
			Handler: func(_ context.Context, turn *framework.Turn) error {
				if strings.HasPrefix(turn.ID, "panic") {
					panic("boom")
				}

				return framework.Terminate(errors.New("no"))
			},
			Calls: map[string]call.Handler{
				"refuse": func(context.Context, *call.Incoming) error { return errors.New("no") },
			},
		}, framework.Config{Bus: broker.Open(), Monitor: monitor.Config{MinSuccess: 0.5, Work: 3}})
	}()

	for _, id := range []string{"panic", "fails"} {
		if _, err := client.Post(t.Context(), framework.Post{Session: id, Component: "tool", ID: id}, []byte("go")); err != nil {
			t.Fatal(err)
		}
	}

	for {
		_, err := client.Call(t.Context(), "tool", call.Request{Operation: "refuse"})
		if err == nil {
			t.Fatal("it was to be refused")
		}

		if !errors.Is(err, call.ErrNoInstance) { // until it was served
			break
		}
	}

	if err := <-ended; !errors.Is(err, framework.ErrSick) || !strings.Contains(err.Error(), "3 of the latest 3") {
		t.Errorf("it ended with %v", err)
	}
}

func TestReadinessInDetail(t *testing.T) {
	t.Parallel()

	addr := freeAddress(t)
	broker := membus.NewBroker(membus.Config{})
	own := breaker.NewSet(breaker.Config{})
	own.For("disk")
	own.For("db").Force(breaker.ForceOpen, "moving")
	running(t, framework.Service{
		Name: "tool", Calls: map[string]call.Handler{"add": replies("5")},
		Breakers: func() *breaker.Set { return own },
	}, framework.Config{Bus: broker.Open(), Health: addr})

	client := connect(t, framework.Config{Bus: broker.Open()})
	called(t, client, "tool", call.Request{Operation: "add"})

	var got struct {
		Ready    bool
		Bus      string
		Instance registry.Instance
		Breakers []breaker.Status
	}

	until(t, func() bool { return fetch(t, "http://"+addr+"/readyz?detail", &got) && got.Instance.Lately.Done > 0 })

	if !got.Ready || got.Bus != "memory" || got.Instance.Component != "tool" || got.Instance.Lately.P50 == 0 ||
		got.Instance.Load.Limit != 64 {
		t.Errorf("got %+v", got)
	}

	for _, breakers := range [][]breaker.Status{got.Breakers, got.Instance.Breakers} {
		if len(breakers) != 2 || breakers[0].Condition() != "open (forced: moving)" || !breakers[1].Usual() {
			t.Errorf("breakers: %+v", breakers)
		}
	}

	if err := framework.CheckHealth(t.Context(), "http://"+addr+"/readyz"); err != nil {
		t.Error(err)
	}
}

// fetch decodes what an address says, and reports whether it is well.
func fetch(t *testing.T, url string, v any) bool {
	t.Helper()

	status, decoded := askHealth(t, url, v)

	return decoded && status == http.StatusOK
}

// askHealth decodes what an address says whether or not it is well, and reports whether it could.
func askHealth(t *testing.T, url string, v any) (status int, decoded bool) {
	t.Helper()

	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}

	request.Close = true

	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, false
	}
	defer response.Body.Close()

	return response.StatusCode, json.NewDecoder(response.Body).Decode(v) == nil
}
