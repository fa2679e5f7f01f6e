package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/woodwork-go/woodwork/framework/session"
)

// sessionView is a session for programs.
type sessionView struct {
	ID         string            `json:"id"`
	Tenant     string            `json:"tenant,omitempty"`
	State      session.State     `json:"state"`
	Created    time.Time         `json:"created"`
	Updated    time.Time         `json:"updated"`
	Graph      session.Graph     `json:"graph"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	Components []string          `json:"components"`
}

func newSessionView(s session.Session) sessionView {
	v := sessionView{
		ID: s.ID, Tenant: s.Tenant, State: s.State, Created: s.Created, Updated: s.Updated, Graph: s.Graph,
		Metadata: s.Metadata, Components: s.Components,
	}
	if v.Components == nil {
		v.Components = []string{}
	}

	return v
}

// printSessionTable prints sessions, one on each line.
func printSessionTable(out io.Writer, list []session.Session) error {
	w := newTable(out)
	fmt.Fprintln(w, "SESSION\tTENANT\tSTATE\tCREATED\tRENEWED\tGRAPH\tSTATE OF")

	for _, s := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, orDash(s.Tenant), clean(string(s.State)),
			when(s.Created), when(s.Updated), shorten(graph(s.Graph), tableReason), orDash(strings.Join(s.Components, ",")))
	}

	return w.Flush()
}

// printSession prints all about one session.
func printSession(out io.Writer, s session.Session) error {
	pairs := slices.Sorted(maps.Keys(s.Metadata))
	for i, key := range pairs {
		pairs[i] = clean(key + " = " + s.Metadata[key])
	}

	return printFacts(out, [][2]string{
		{"session", s.ID},
		{"tenant", s.Tenant},
		{"state", clean(string(s.State))},
		{"created", when(s.Created)},
		{"renewed", when(s.Updated)},
		{"graph", graph(s.Graph)},
		{"state of", orDash(strings.Join(s.Components, ", "))},
		{"metadata", strings.Join(pairs, ", ")},
	})
}

// graph lists which component's output goes where.
func graph(g session.Graph) string {
	edges := slices.Sorted(maps.Keys(g))
	for i, from := range edges {
		edges[i] = from + " > " + strings.Join(slices.Sorted(slices.Values(g[from])), "+")
	}

	return clean(strings.Join(edges, ", "))
}
