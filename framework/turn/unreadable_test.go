package turn_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/framework/turn"
	"github.com/woodwork-go/woodwork/subjects"
)

// postRaw posts a letter with any body.
func (u *user) postRaw(id, body string) {
	u.t.Helper()

	l := &bus.Letter{ID: id, Component: component, Session: sessionID, Body: []byte(body)}
	if err := u.bus.Post(u.t.Context(), l); err != nil {
		u.t.Fatal(err)
	}
}

func TestALetterThatCannotBeReadIsSetAside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{MaxBody: 8 << 10})
		start(t, broker, turn.Config{}, echo)

		u := newUser(t, broker)

		for id, body := range map[string]string{
			"t0": "{", "t1": `{"v":99,"id":"t1"}`, "t2": strings.Repeat("x", 8<<10),
		} {
			u.postRaw(id, body)
		}

		u.post("t3", "hello")
		u.wantAnswer("t3", "hello")
		u.wantFailed("t0", "decode turn t0")
		u.wantFailed("t1", "version 99")
		u.wantFailed("t2", "decode turn t2")

		dead := u.dead()
		if len(dead) != 3 {
			t.Fatalf("%d dead letters, want 3", len(dead))
		}

		for _, d := range dead {
			if _, err := turn.Replay(t.Context(), u.bus, u.store, d); err == nil {
				t.Errorf("%s was replayed", d.ID)
			}

			if !strings.Contains(d.Reason, "turn "+d.ID) || (len(d.Body) == 0) != (d.ID == "t2") {
				t.Errorf("%s: reason %q, %d bytes of body", d.ID, d.Reason, len(d.Body))
			}
		}
	})
}

// The output of a turn in the middle of a pipeline has its root in its name.
func TestTheAnswerToALetterThatCannotBeReadFails(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		body      string
		announced bool
		root      string
	}{
		"the letter tells the root":   {`{"v":99,"id":"t1","root":"r1"}`, false, "r1"},
		"the timeline tells the root": {"{", true, "r1"},
		"another turn's letter":       {`{"v":1,"id":"t2","root":"r2"}`, true, "r1"},
		"a root that is no id":        {`{"v":99,"id":"t1","root":"r.*"}`, false, "t1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				broker := membus.NewBroker(membus.Config{})
				u := newUser(t, broker)

				if c.announced {
					w, err := u.store.OpenWriter(t.Context(), stream.WriterConfig{
						Session: sessionID, Info: stream.Info{Stream: "t1", Target: component, Root: "r1"},
					})
					if err != nil {
						t.Fatal(err)
					}

					if err := w.Close(t.Context()); err != nil {
						t.Fatal(err)
					}
				}

				u.postRaw("t1", c.body)
				start(t, broker, turn.Config{To: []string{"next"}}, echo)

				_, end := u.read(subjects.Derive(c.root, component, "t1", "next"))
				if end == nil || end.End.State != bus.Failed {
					t.Errorf("the output ended with %v", end)
				}

				u.oneDead("t1")
			})
		})
	}
}
