package embedded

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	readyPoll  = 10 * time.Millisecond
	readyLimit = time.Minute // an election takes up to 9 s, and a busy machine makes it a few
)

// WaitReady returns when the nodes that run agree on a leader for JetStream and are up to date, and every replicated
// JetStream stream and consumer has a leader among them. It fails when a node fails, when ctx ends, or after a minute,
// which happens when no majority runs.
func (c *Cluster) WaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()

	tick := time.NewTicker(readyPoll)
	defer tick.Stop()

	for {
		ready, err := c.ready()
		if err != nil || ready {
			return err
		}

		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for a cluster of %d nodes: %w", len(c.nodes), ctx.Err())
		case <-tick.C:
		}
	}
}

// ready reports whether the cluster can be used, or why it never will.
func (c *Cluster) ready() (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.closed {
		return false, fmt.Errorf("wait for the cluster: %w", ErrClosed)
	}

	// A leader that lost the others goes on for ten seconds before it notices.
	running := c.running()
	if len(running) <= len(c.nodes)/2 {
		return false, nil
	}

	for i, s := range running {
		if err := s.log.failure(); err != nil {
			return false, startFailure(c.options(i, s.dir.path), err)
		}
	}

	names := make(map[string]bool, len(running))
	for i := range running {
		names[c.NodeName(i)] = true
	}

	return routed(running) && metaReady(running, names) && groupsReady(running, names), nil
}

// running returns the nodes that are not stopped, by index. The caller holds mu.
func (c *Cluster) running() map[int]*Server {
	running := make(map[int]*Server, len(c.nodes))

	for i := range c.nodes {
		if s := c.nodes[i].server; s != nil {
			running[i] = s
		}
	}

	return running
}

// routed reports whether each node has all its routes to each other: the system's own, by which they vote, and those
// of the pool, one of which carries the answers to clients. A node that lacks one drops what is sent through it.
func routed(running map[int]*Server) bool {
	for _, s := range running {
		info, err := s.nats.Routez(nil)
		if err != nil {
			return false
		}

		pooled := make(map[string]int, len(running))
		own := make(map[string]bool, len(running))

		for _, route := range info.Routes {
			if route.Account == "" {
				pooled[route.RemoteID]++
			} else {
				own[route.RemoteID] = true
			}
		}

		for _, other := range running {
			id := other.nats.ID()
			if other != s && (pooled[id] < server.DEFAULT_ROUTE_POOL_SIZE || !own[id]) {
				return false
			}
		}
	}

	return true
}

// metaReady reports whether one of the nodes leads JetStream and sees all of them up to date, as they see themselves.
func metaReady(running map[int]*Server, names map[string]bool) bool {
	led := false

	for _, s := range running {
		if !s.nats.JetStreamIsCurrent() {
			return false
		}

		if s.nats.JetStreamIsLeader() {
			led = true

			if !followed(s.nats, names) {
				return false
			}
		}
	}

	return led
}

// followed reports whether the leader of JetStream sees all nodes up to date, and knows what each has room for, without
// which it places nothing there.
func followed(leader *server.Server, names map[string]bool) bool {
	placeable := leader.JetStreamClusterPeers()

	info, err := leader.Jsz(nil)
	if err != nil || info.Meta == nil {
		return false
	}

	current := map[string]bool{leader.Name(): true}
	for _, peer := range info.Meta.Replicas {
		current[peer.Name] = peer.Current && !peer.Offline
	}

	for name := range names {
		if !current[name] || !slices.Contains(placeable, name) {
			return false
		}
	}

	return true
}

// groupsReady reports whether everything that is replicated has recovered on the nodes and is led by one of them.
func groupsReady(running map[int]*Server, names map[string]bool) bool {
	for _, s := range running {
		if s.nats.Healthz(nil).Status != "ok" {
			return false
		}

		// All clients of an embedded server are in its global account.
		accounts := s.nats.Raftz(&server.RaftzOptions{AccountFilter: server.DEFAULT_GLOBAL_ACCOUNT})
		if accounts == nil {
			return false
		}

		for _, group := range (*accounts)[server.DEFAULT_GLOBAL_ACCOUNT] {
			if !led(&group, names) {
				return false
			}
		}
	}

	return true
}

// led reports whether a replicated group, as one node sees it, is led by one of the nodes.
func led(group *server.RaftzGroup, names map[string]bool) bool {
	if group.CatchingUp || group.Leader == "" {
		return false
	}

	return group.Leader == group.ID || names[group.Peers[group.Leader].Name]
}
