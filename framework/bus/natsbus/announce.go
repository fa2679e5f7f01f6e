package natsbus

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// questionQueue is how many questions of tools may wait; more are not answered.
const questionQueue = 64

// announcement answers the questions of NATS micro about one instance. The micro package's own service would count
// only requests that it takes itself, and choose another id.
type announcement struct {
	about     bus.Announcement
	identity  micro.ServiceIdentity
	endpoints func(bus.WorkKind) string // their subjects
	queue     chan *nats.Msg
	verbs     map[*nats.Subscription]micro.Verb
	quit      chan struct{}
	ended     chan struct{}
}

var _ bus.Announcer = (*Bus)(nil)

// Announce makes the instance a NATS micro service, which "nats micro" lists under the component's name, with the
// instance as its id; see [bus.Announcer]. A version that is not a semantic one is shown as 0.0.0. Where a user lacks
// the permission to subscribe, the log says so and the instance is not shown.
func (b *Bus) Announce(ctx context.Context, a bus.Announcement) (func(), error) {
	call, err := b.ns.Call(a.At.Component, a.At.Instance)
	if err != nil {
		return nil, fmt.Errorf("announce: %w: %w", bus.ErrInvalid, err)
	}
	inbox, err := b.ns.InboxFilter(a.At.Component)
	if err != nil {
		return nil, fmt.Errorf("announce: %w: %w", bus.ErrInvalid, err)
	}
	n := &announcement{
		about: a, identity: identity(&a, b.ns.App()), queue: make(chan *nats.Msg, questionQueue),
		verbs: map[*nats.Subscription]micro.Verb{}, quit: make(chan struct{}), ended: make(chan struct{}),
		endpoints: func(k bus.WorkKind) string {
			if k == bus.WorkCalls {
				return call
			}

			return inbox
		},
	}
	if err := n.subscribe(b.nc); err != nil {
		n.unsubscribe()

		return nil, fmt.Errorf("announce %s: %w", a.At, mapError(err))
	}
	go n.run(b.done)
	stop := sync.OnceFunc(func() { n.unsubscribe(); close(n.quit); <-n.ended })
	flush, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	_ = b.nc.FlushWithContext(flush) // a connection that is broken now subscribes again by itself

	return stop, nil
}

// identity is who the instance is in every answer.
func identity(a *bus.Announcement, app string) micro.ServiceIdentity {
	metadata := maps.Clone(a.Metadata)
	if metadata == nil {
		metadata = map[string]string{}
	}
	metadata["app"] = app
	version := strings.TrimPrefix(a.Version, "v")
	if !semantic(version) {
		metadata["version"], version = cmp.Or(a.Version, "unknown"), "0.0.0"
	}

	return micro.ServiceIdentity{Name: a.At.Component, ID: a.At.Instance, Version: version, Metadata: metadata}
}

// semantic reports whether a version is one that micro services may have: see semver.org.
func semantic(version string) bool {
	const (
		number = `(0|[1-9]\d*)`
		stage  = `(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)`
		build  = `[0-9A-Za-z-]+`
	)

	return regexp.MustCompile(`^` + number + `\.` + number + `\.` + number + `(-` + stage + `(\.` + stage + `)*)?` +
		`(\+` + build + `(\.` + build + `)*)?$`).MatchString(version)
}

// subscribe takes what is asked of all services, of those with this name, and of this one.
func (n *announcement) subscribe(nc *nats.Conn) error {
	for _, verb := range []micro.Verb{micro.PingVerb, micro.InfoVerb, micro.StatsVerb} {
		for _, who := range [][2]string{{}, {n.identity.Name}, {n.identity.Name, n.identity.ID}} {
			subject, err := micro.ControlSubject(verb, who[0], who[1])
			if err != nil {
				return err
			}
			sub, err := nc.ChanSubscribe(subject, n.queue)
			if err != nil {
				return err
			}
			n.verbs[sub] = verb
		}
	}

	return nil
}

func (n *announcement) unsubscribe() {
	for sub := range n.verbs {
		_ = sub.Unsubscribe() // fails on a closed connection only, which has no subscriptions
	}
}

// run answers until stop is called or the bus ends.
func (n *announcement) run(done <-chan struct{}) {
	defer close(n.ended)
	for {
		select {
		case m := <-n.queue:
			n.answer(m)
		case <-n.quit:
			return
		case <-done:
			return
		}
	}
}

func (n *announcement) answer(m *nats.Msg) {
	var reply any
	switch n.verbs[m.Sub] {
	case micro.InfoVerb:
		reply = n.info()
	case micro.StatsVerb:
		reply = n.stats()
	default:
		reply = micro.Ping{ServiceIdentity: n.identity, Type: micro.PingResponseType}
	}
	if body, err := json.Marshal(reply); err == nil { // Data that is no JSON has no answer
		_ = m.Respond(body) // whoever asked without a reply subject, or lost the connection, gets none
	}
}

func (n *announcement) info() micro.Info {
	info := micro.Info{
		ServiceIdentity: n.identity, Type: micro.InfoResponseType, Description: n.about.Description,
		Endpoints: []micro.EndpointInfo{},
	}
	for _, w := range n.work() {
		info.Endpoints = append(info.Endpoints, micro.EndpointInfo{Name: string(w.Kind), Subject: n.endpoints(w.Kind)})
	}

	return info
}

func (n *announcement) stats() micro.Stats {
	stats := micro.Stats{
		ServiceIdentity: n.identity, Type: micro.StatsResponseType, Started: n.about.Started.UTC(),
		Endpoints: []*micro.EndpointStats{},
	}
	for _, w := range n.work() {
		stats.Endpoints = append(stats.Endpoints, &micro.EndpointStats{
			Name: string(w.Kind), Subject: n.endpoints(w.Kind), NumRequests: int(w.Done), NumErrors: int(w.Failed),
			ProcessingTime: w.Busy, AverageProcessingTime: w.Busy / time.Duration(max(w.Done, 1)), Data: w.Data,
		})
	}

	return stats
}

func (n *announcement) work() []bus.Work {
	if n.about.Work == nil {
		return nil
	}

	return n.about.Work()
}
