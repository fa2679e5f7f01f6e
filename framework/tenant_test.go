package framework_test

import (
	"context"
	"errors"
	"testing"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/session"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// user is a client with something of its own in a session.
type user struct {
	t       *testing.T
	client  *framework.Client
	session string
	name    string
}

// settle posts a turn that is answered and one that is set aside, and saves state.
func (u *user) settle() {
	u.t.Helper()

	for _, words := range []string{"secret of " + u.name, "break"} {
		p := framework.Post{Session: u.session, Component: "echo", ID: words[:5]}
		if ref, err := u.client.Post(u.t.Context(), p, []byte(words)); err != nil || ref.Session != u.session {
			u.t.Fatalf("posted as %+v: %v", ref, err)
		}
	}

	if err := u.client.Session(u.session, "echo").Save(u.t.Context(), u.name); err != nil {
		u.t.Fatal(err)
	}
}

// sees checks that the user's own is there, and nothing else through any call.
func (u *user) sees() {
	u.t.Helper()

	ctx := u.t.Context()

	f, err := u.client.Follow(ctx, stream.FollowConfig{Session: u.session})
	if err != nil {
		u.t.Fatal(err)
	}
	defer f.Close()

	if got := text(u.t, f); got != "secret of "+u.name {
		u.t.Errorf("%s follows the session and reads %q", u.name, got)
	}

	var kept string
	if err := u.client.Session(u.session, "echo").Load(ctx, &kept); err != nil || kept != u.name {
		u.t.Errorf("%s loads the state %q: %v", u.name, kept, err)
	}

	letters := 0

	for {
		for d, err := range u.client.DeadLetters(ctx, "") {
			if err != nil {
				u.t.Fatal(err)
			}

			if d.Session == u.session {
				letters++
			} else if u.name == "bob" { // who is his tenant's only user
				u.t.Errorf("%s sees a dead letter of session %s", u.name, d.Session)
			}
		}

		if letters > 0 {
			break // it is set aside soon after it was posted
		}
	}
}

// TestTenantsAndSessionsAreApart: two tenants who call their sessions alike, and two sessions of one of them, work on
// one bus with one service. Each call of the one is tried on what is the other's.
func TestTenantsAndSessionsAreApart(t *testing.T) {
	t.Parallel()
	onEachBus(t, func(t *testing.T, open func() framework.Config) {
		serve(t, framework.Service{
			Name: "echo", Handler: func(ctx context.Context, turn *framework.Turn) error {
				said, err := turn.Input.ReadAll(ctx)
				if string(said) == "break" {
					return framework.Terminate(errors.New("broken"))
				}

				return errors.Join(err, turn.Output.Send(ctx, said))
			},
		}, open())

		of := func(tenant, session, name string) *user {
			cfg := open()
			cfg.Tenant = tenant

			return &user{t: t, client: connect(t, cfg), session: session, name: name}
		}

		ann, bob, eve := of("acme", "chat", "ann"), of("other", "chat", "bob"), of("acme", "mine", "eve")
		for _, u := range []*user{ann, bob, eve} {
			u.settle()
		}

		for _, u := range []*user{ann, bob, eve} {
			u.sees()
		}

		trespass(t, bob, "mine")
		trespass(t, bob, "t--acme--chat")

		if err := bob.client.Sessions().End(t.Context(), "chat", "mine ends"); err != nil {
			t.Error(err)
		}

		ann.sees() // and is not touched by the end of the other's session of the same name

		if there, err := ann.client.Sessions().Get(t.Context(), "chat"); err != nil || there.State != session.Active {
			t.Errorf("ann's session is %s: %v", there.State, err)
		}
	})
}

// trespass tries each call on a session that is not the user's.
func trespass(t *testing.T, u *user, id string) {
	t.Helper()

	ctx, store := t.Context(), u.client.Sessions()

	if there, err := store.Get(ctx, id); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("%s gets session %s: %+v, %v", u.name, id, there, err)
	}

	_, err := store.Update(ctx, id, func(*session.Session) error { return nil })
	if err = errors.Join(err, store.End(ctx, id, "")); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("%s changes session %s: %v", u.name, id, err)
	}

	for there, err := range store.List(ctx, session.Filter{}) {
		if err != nil || there.Tenant != "other" {
			t.Errorf("%s lists session %s: %v", u.name, there.ID, err)
		}
	}

	var kept string
	if err := u.client.Session(id, "echo").Load(ctx, &kept); err != nil || kept != "" {
		t.Errorf("%s loads the state %q of session %s: %v", u.name, kept, id, err)
	}

	if err := u.client.Cancel(ctx, framework.Ref{Session: id}, "not yours"); err != nil {
		t.Errorf("a cancel of nothing: %v", err) // of a session of the user's own that isn't there
	}

	f, err := u.client.Follow(ctx, stream.FollowConfig{Session: id})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()

	ref, err := u.client.Post(ctx, framework.Post{Session: id, Component: "echo"}, []byte("only my own"))
	if err != nil || ref.Session != id {
		t.Fatalf("posted as %+v: %v", ref, err)
	}

	if got := text(t, f); got != "only my own" {
		t.Errorf("%s follows session %s and reads %q", u.name, id, got)
	}

	if err := store.End(ctx, id, ""); err != nil {
		t.Error(err)
	}
}
