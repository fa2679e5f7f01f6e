package framework_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
)

// A service that asks for it gets the turns of a session where it had those before.
func TestAffinity(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) { // so that no instance seems to be silent because the machine is busy
		const instances, sessions, turns = 4, 6, 5

		broker := membus.NewBroker(membus.Config{})
		served := make(chan [2]string, 1) // session, instance
		client := connect(t, framework.Config{Bus: broker.Open()})

		for i := range instances {
			name := fmt.Sprint("instance-", i)
			serve(t, framework.Service{
				Name: "llm", Affinity: true, Concurrency: sessions,
				Handler: func(_ context.Context, turn *framework.Turn) error {
					served <- [2]string{turn.Session.ID, name}

					return nil
				},
			}, framework.Config{Bus: broker.Open(), Instance: name})
		}

		last := map[string]string{}

		for n := range turns {
			for s := range sessions {
				session := fmt.Sprint("s", s)

				if _, err := client.Post(t.Context(), framework.Post{
					Session: session, Component: "llm", ID: fmt.Sprint(session, "-", n),
				}, []byte("hello")); err != nil {
					t.Fatal(err)
				}

				got := <-served
				if before, known := last[session]; known && before != got[1] {
					t.Errorf("turn %d of %s was served by %s, the one before by %s", n, session, got[1], before)
				}

				last[session] = got[1]
			}
		}
	})
}
