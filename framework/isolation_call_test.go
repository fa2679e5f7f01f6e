package framework_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/call"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// tools are the operations of the component tool. It trusts what a request says of its session, as components do.
func tools(keeper *framework.Client) map[string]call.Handler {
	return map[string]call.Handler{
		"recall": func(ctx context.Context, in *call.Incoming) error {
			var kept string

			if in.Session != "" {
				if err := keeper.Session(in.Session, "echo").Load(ctx, &kept); err != nil {
					return err
				}
			}

			reply, err := json.Marshal(recalled{in.Session, in.Turn, in.Root, kept})

			return errors.Join(err, in.Reply(reply))
		},
	}
}

// recalled is what the tool knows of a caller.
type recalled struct {
	Session string `json:"session"`
	Turn    string `json:"turn"`
	Root    string `json:"root"`
	State   string `json:"state"`
}

// recall asks the tool, again until it is known.
func recall(ctx context.Context, c call.Caller, r call.Request) (recalled, error) {
	r.Operation = "recall"

	for {
		got, err := call.Ask[recalled](ctx, c, "tool", r)
		if !errors.Is(err, call.ErrNoInstance) && !errors.Is(err, bus.ErrNoResponder) {
			return got, err
		}
	}
}

func recallStream(ctx context.Context, c call.Caller, r call.Request) (recalled, error) {
	r.Operation = "recall"

	for got, err := range call.AskStream[recalled](ctx, c, "tool", r) {
		return got, err
	}

	return recalled{}, nil
}

// disguises are requests that pretend to be of a session: the first one by what it says, the others by their headers.
func disguises(id string) []call.Request {
	return []call.Request{
		{Session: id, Turn: "t1", Root: "t1", Sticky: true},
		{Header: map[string]string{"Call-Session": id, "Call-Turn": "t1", "Call-Root": "t1"}},
		{Header: map[string]string{"call-session": id}},
		{Header: map[string]string{"CALL-SESSION": id}, ID: id},
	}
}

func callAttempts() []attempt {
	const fields = " call.Request.Session call.Request.Turn call.Request.Root call.Request.Header call.Request.ID " +
		"call.Incoming.Session " +
		"call.Incoming.Turn call.Incoming.Root call.Incoming.Header"

	return []attempt{
		{"framework.Client.Call" + fields, func(i *intruder) { i.calls(recall) }},
		{"framework.Client.Stream" + fields, func(i *intruder) { i.calls(recallStream) }},
	}
}

func (i *intruder) calls(ask func(context.Context, call.Caller, call.Request) (recalled, error)) {
	i.each(func(id string) error {
		if id == "" {
			return bus.ErrInvalid // which is to pretend nothing
		}

		got, err := ask(i.t.Context(), i.client, disguises(id)[0])
		i.saw(got)

		if err == nil {
			i.own(got.Session)
		}

		return err
	})

	for _, id := range names() {
		for _, r := range disguises(id)[1:] {
			if got, err := ask(i.t.Context(), i.client, r); !refused(err) {
				i.t.Errorf("%s: disguised as %+v it is %+v: %v", i.now, r, got, err)
			}
		}
	}
}

func turnAttempts() []attempt {
	return []attempt{
		{"framework.Turn.Call framework.Turn.Stream framework.Turn.OpenOutput framework.Session.Load " +
			"framework.Session.Save framework.UpdateState framework.Turn.Session framework.Session.ID framework.Turn.ID " +
			"framework.Turn.Root framework.Turn.Component framework.Turn.Input framework.Turn.Output", (*intruder).intrudes},
	}
}

// intrudes lets a handler reach out from a turn of its own.
func (i *intruder) intrudes() {
	for _, target := range []string{"t--acme--A", "t--acme--B", "A"} {
		f, err := i.client.Follow(i.t.Context(), stream.FollowConfig{Session: "B", New: true})
		i.must(err)
		i.post(framework.Post{Session: "B", Component: "echo"}, "intrude "+target)

		got := text(i.t, f)
		i.saw(got)
		f.Close()

		if got == "" {
			i.t.Errorf("%s: the handler failed", i.now)
		}

		for name := range strings.FieldsSeq(got) {
			i.own(name)
		}
	}
}

// intrude is a handler that takes its turn for one of another session, by all that it holds. It answers with the
// sessions that it reached.
func intrude(ctx context.Context, turn *framework.Turn, target string) error {
	mine := turn.Session
	mine.ID, turn.ID, turn.Root, turn.Component = target, "t1", "t1", "nobody"

	var (
		state   string
		reached []string
	)

	err := errors.Join(
		framework.UpdateState(ctx, mine, func(s *string) error { state = *s; *s = "intruded"; return nil }),
		mine.Load(ctx, &state), mine.Save(ctx, "intruded"))
	if err != nil || state != "intruded" {
		return framework.Terminate(fmt.Errorf("state %q: %w", state, err))
	}

	turn.Session = &framework.Session{ID: target}

	for n, r := range disguises(target) {
		for _, ask := range []func(context.Context, call.Caller, call.Request) (recalled, error){recall, recallStream} {
			got, err := ask(ctx, turn, r)
			if err == nil {
				reached = append(reached, got.Session)
			}

			if n == 0 && (err != nil || got.Turn == "t1" || got.Root == "t1" || got.State != "intruded") {
				return framework.Terminate(fmt.Errorf("called as %+v: %w", got, err))
			}
		}
	}

	for _, to := range []string{"nobody", target} {
		w, err := turn.OpenOutput(ctx, to)
		if err != nil {
			return framework.Terminate(err)
		}

		reached = append(reached, w.ID().Session)
	}

	reached = append(reached, turn.Input.ID().Session, turn.Output.ID().Session)

	return turn.Output.Send(ctx, []byte(strings.Join(reached, " ")))
}
