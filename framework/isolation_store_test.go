package framework_test

import (
	"errors"
	"strings"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/session"
)

func storeAttempts() []attempt {
	return []attempt{
		{"framework.Client.Sessions session.Store.Name session.Store.Own", (*intruder).names},
		{"session.Store.List session.Filter.Tenant session.Filter.Component session.Filter.State session.Filter.Since " +
			"session.Filter.Before", (*intruder).lists},
		{"session.Store.Get", (*intruder).gets},
		{"session.Store.Update session.Session.ID session.Session.Tenant session.Session.Created", (*intruder).updates},
		{"session.Store.Touch session.Store.Renew", (*intruder).touches},
		{"session.Store.State session.ComponentState.Load session.ComponentState.Save session.Update", (*intruder).states},
		{"session.Store.End", (*intruder).ends},
		{
			"session.Store.Create session.Session.ID session.Session.Tenant session.Session.Components session.Session.Write",
			(*intruder).creates,
		},
	}
}

func (i *intruder) names() {
	i.each(func(id string) error {
		name, err := i.client.Sessions().Name(id)
		if err == nil {
			i.own(name)
		}

		return err
	})

	for _, name := range append(names(), "t--acme--A", "t--beta", "t--beta-x--A", "T--beta--A") {
		if id, mine := i.client.Sessions().Own(name); mine && !strings.HasPrefix(name, "t--beta--") {
			i.t.Errorf("%s: %s is its session %s", i.now, name, id)
		}
	}
}

func (i *intruder) lists() {
	for _, f := range []session.Filter{
		{},
		{Tenant: "acme"},
		{Tenant: "beta"},
		{Tenant: "_"},
		{Tenant: "*"},
		{Component: "echo"},
		{State: session.Active},
		{State: session.Ended},
		{Since: time.Unix(0, 0)},
		{Before: time.Now().Add(time.Hour)},
	} {
		for there, err := range i.client.Sessions().List(i.t.Context(), f) {
			i.must(err)
			i.saw(there)

			if there.Tenant != "beta" || f.Tenant != "" && f.Tenant != "beta" {
				i.t.Errorf("%s: %+v lists %+v", i.now, f, there)
			}
		}
	}
}

// gets asks for each record: those of its own say so.
func (i *intruder) gets() {
	i.each(func(id string) error {
		there, err := i.client.Sessions().Get(i.t.Context(), id)
		i.saw(there)

		if err == nil && (there.Tenant != "beta" || there.ID != id) {
			i.t.Errorf("%s: session %q is %+v", i.now, id, there)
		}

		return err
	})

	if _, err := i.client.Sessions().Get(i.t.Context(), "none"); !errors.Is(err, bus.ErrNotFound) {
		i.t.Errorf("%s: what is not there: %v", i.now, err)
	}
}

// updates makes its own records pass for acme's.
func (i *intruder) updates() {
	i.each(func(id string) error {
		changed, err := i.client.Sessions().Update(i.t.Context(), id, func(s *session.Session) error {
			i.saw(*s)
			*s = i.loot.record
			s.ID, s.Tenant, s.Metadata = "t--acme--A", "acme", nil

			return nil
		})
		if err == nil {
			i.saysWhoItIs(id, changed)

			there, err := i.client.Sessions().Get(i.t.Context(), id)
			i.must(err)
			i.saysWhoItIs(id, there)
		}

		return err
	})
}

// saysWhoItIs checks a session's record against where it is kept.
func (i *intruder) saysWhoItIs(id string, there session.Session) {
	i.t.Helper()

	if there.ID != id || there.Tenant != "beta" || there.Created.Equal(i.loot.record.Created) {
		i.t.Errorf("%s: session %q is %+v", i.now, id, there)
	}
}

func (i *intruder) touches() {
	i.each(func(id string) error {
		return errors.Join(i.client.Sessions().Touch(i.t.Context(), id), i.client.Sessions().Renew(i.t.Context(), id))
	})
}

func (i *intruder) states() {
	keep := func(id, component string) error {
		var kept string

		ctx, state := i.t.Context(), i.client.Sessions().State(id, component)
		err := state.Load(ctx, &kept)
		i.saw(kept)

		return errors.Join(err, state.Save(ctx, "beta"),
			session.Update(ctx, state, func(v *string) error { i.saw(*v); *v = "beta"; return nil }))
	}

	i.each(func(id string) error { return keep(id, "echo") })
	i.each(func(id string) error { return keep("A", id) })
}

func (i *intruder) ends() {
	i.each(func(id string) error { return i.client.Sessions().End(i.t.Context(), id, "not yours") })
}

// creates makes sessions anew that say that they are acme's.
func (i *intruder) creates() {
	i.each(func(id string) error {
		fresh := i.loot.record
		fresh.ID, fresh.Tenant, fresh.Metadata = id, "acme", nil

		made, err := i.client.Sessions().Create(i.t.Context(), fresh)
		if err == nil && (made.ID != id || made.Tenant != "beta" || made.Write == fresh.Write) {
			i.t.Errorf("%s: made %+v", i.now, made)
		}

		return err
	})
}
