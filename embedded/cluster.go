package embedded

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
)

const (
	loopback     = "127.0.0.1"
	clusterName  = "woodwork"
	defaultNodes = 3
	clusterTries = 5
)

// ClusterConfig says how a cluster runs. The zero value is three nodes whose data ends with the cluster.
type ClusterConfig struct {
	// Dir holds one data directory per node and survives Close. Defaults to a temporary directory that Close removes.
	Dir string
	// Nodes is the number of servers. Defaults to 3.
	Nodes int
	// SyncAlways is as in [Config]. Defaults to false.
	SyncAlways bool
	// Logger receives the log of all nodes, with the field "node". Defaults to none.
	Logger zerolog.Logger
}

// Cluster is a group of servers on the loopback interface that replicate JetStream to each other. Nodes are counted
// from 0 and keep their name, address and data when they restart. All methods may be called concurrently; a node index
// that isn't there panics as a slice would.
type Cluster struct {
	cfg   ClusterConfig
	dir   string
	close func() error

	mu     sync.Mutex // guards nodes[i].server and closed; held while a node starts or stops
	nodes  []node
	closed bool
}

// node is one server of a cluster and what it needs to start again.
type node struct {
	client address
	route  address
	server *Server // nil while the node is stopped
}

// StartCluster runs the nodes and returns when they have elected a leader for JetStream and each of them is up to
// date: half a second for new ones, up to ten for a directory of an earlier cluster, whose nodes wait for each other
// before they vote. The caller closes the cluster. Errors are as for [Start].
func StartCluster(ctx context.Context, cfg ClusterConfig) (*Cluster, error) {
	if cfg.Nodes == 0 {
		cfg.Nodes = defaultNodes
	}

	for try := 1; ; try++ {
		c, err := startCluster(ctx, cfg)
		if !errors.Is(err, ErrPortTaken) || try == clusterTries {
			return c, err
		}
		// Another program took one of the ports since they were chosen: choose others.
	}
}

func startCluster(ctx context.Context, cfg ClusterConfig) (*Cluster, error) {
	c, err := newCluster(ctx, cfg)
	if err != nil {
		return nil, err
	}

	for i := range c.nodes {
		if err := c.start(ctx, i); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}

	if err := c.WaitReady(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}

	return c, nil
}

// newCluster chooses ports and directory.
func newCluster(ctx context.Context, cfg ClusterConfig) (*Cluster, error) {
	ports, err := freePorts(ctx, 2*cfg.Nodes)
	if err != nil {
		return nil, err
	}

	dir := cfg.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "woodwork-cluster-"); err != nil {
			return nil, notWritable(os.TempDir(), err)
		}
	}

	c := &Cluster{cfg: cfg, dir: dir, nodes: make([]node, cfg.Nodes)}
	c.close = sync.OnceValue(c.shutdown)

	for i := range c.nodes {
		c.nodes[i].client = address{tcp: true, host: loopback, port: ports[2*i]}
		c.nodes[i].route = address{tcp: true, host: loopback, port: ports[2*i+1]}
	}

	return c, nil
}

// start runs a node that is stopped and returns when clients can connect to it, which is before it is up to date.
func (c *Cluster) start(ctx context.Context, i int) error {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.closed {
		return fmt.Errorf("start node %d: %w", i, ErrClosed)
	}

	n := &c.nodes[i]
	for _, at := range []address{n.client, n.route} {
		if err := at.probe(ctx); err != nil {
			return err
		}
	}

	dir, err := openDir(filepath.Join(c.dir, c.NodeName(i)))
	if err != nil {
		return err
	}

	log := newServerLog(c.cfg.Logger.With().Int("node", i).Logger())
	n.server, err = launch(c.options(i, dir.path), log, dir)

	return err
}

// options returns the settings of a node, which knows the routes to all others.
func (c *Cluster) options(i int, dir string) *server.Options {
	n := c.nodes[i]
	opts := Config{SyncAlways: c.cfg.SyncAlways}.options(&server.Options{JetStream: true}, dir, n.client)
	opts.ServerName = c.NodeName(i)
	opts.Cluster = server.ClusterOpts{Name: clusterName, Host: n.route.host, Port: n.route.port}

	for j, other := range c.nodes {
		if j != i {
			opts.Routes = append(opts.Routes, &url.URL{Scheme: "nats", Host: other.route.String()})
		}
	}

	return opts
}

// NodeName returns the name that node i has among the servers, as in the leader of a JetStream stream.
func (*Cluster) NodeName(i int) string { return "node-" + strconv.Itoa(i) }

// URLs returns the addresses of all nodes, also of those that are stopped.
func (c *Cluster) URLs() []string {
	urls := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		urls[i] = "nats://" + n.client.String()
	}

	return urls
}

// Server returns the server that runs as node i, or nil while the node is stopped. The cluster closes it.
func (c *Cluster) Server(i int) *Server {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.nodes[i].server
}

// Stop ends node i as [Server.Close] ends a server; what it leads is handed over to other nodes. Stopping a node that
// is stopped does nothing.
func (c *Cluster) Stop(i int) error {
	c.mu.Lock()
	defer c.mu.Unlock()

	s := c.nodes[i].server
	c.nodes[i].server = nil

	return s.Close()
}

// Restart ends node i if it runs, starts it again on its address and data, and returns as WaitReady does.
func (c *Cluster) Restart(ctx context.Context, i int) error {
	if err := c.Stop(i); err != nil {
		return err
	}

	if err := c.start(ctx, i); err != nil {
		return err
	}

	return c.WaitReady(ctx)
}

// Close ends all nodes and removes the directory if it was temporary. It is idempotent, every call waits and returns
// the same, and a nil Cluster is closed.
func (c *Cluster) Close() error {
	if c == nil {
		return nil
	}

	return c.close()
}

func (c *Cluster) shutdown() error {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.closed = true

	// All at once: a node that is closed after the others has nobody to hand its part over to, and would wait.
	errs := make([]error, len(c.nodes), len(c.nodes)+1)

	var wg sync.WaitGroup
	for i := range c.nodes {
		wg.Go(func() { errs[i] = c.nodes[i].server.Close() })
	}

	wg.Wait()

	for i := range c.nodes {
		c.nodes[i].server = nil
	}

	if c.cfg.Dir == "" {
		errs = append(errs, os.RemoveAll(c.dir))
	}

	return errors.Join(errs...)
}
