package load

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/chaos/hook"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFiguresOfASession(t *testing.T) {
	t.Parallel()
	event := func(turn string, ev stream.Event) check.Event {
		return check.Event{SessionEvent: stream.SessionEvent{Info: stream.Info{Root: turn}, Event: ev}}
	}
	end := func(turn string, state bus.State) check.Event {
		return event(turn, stream.Event{Kind: stream.KindEnd, End: stream.End{State: state, Reason: "why"}})
	}
	relay := []check.Event{
		event("good", stream.Event{Kind: stream.KindChunk}), event("good", stream.Event{Kind: stream.KindSuperseded}),
		event("good", stream.Event{Kind: stream.KindChunk}), end("good", bus.Completed), end("told", bus.Failed),
		end("bad", bus.Failed), end("unknown", bus.Completed),
	}
	var got Stats
	got.add(&check.Session{
		Turns: []check.Turn{
			{ID: "good", Acked: true},
			{ID: "told", Acked: true, Prompt: hook.Terminate.Tag()},
			{ID: "bad", Acked: true},
			{ID: "unknown"},
		},
		Readers: []check.Reader{{Name: "llm"}, {Name: "relay", Events: relay}},
	})
	want := Stats{
		Sessions: 1, Turns: 3, Unacked: 1, Completed: 1, Refused: 1, Failed: 1, Reasons: map[string]int{"why": 1},
		Chunks: 2, Superseded: 1, Hooks: map[hook.Hook]int{hook.Terminate: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
	if share := got.Available(); share < 0.66 || share > 0.67 {
		t.Errorf("availability %v, want two thirds", share)
	}
	if share := new(Stats).Available(); share != 0 {
		t.Errorf("availability of nothing is %v", share)
	}
}
