package system

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/chaos/clock"
	"github.com/woodwork-go/woodwork/chaos/plan"
	"github.com/woodwork-go/woodwork/chaos/proc"
	"github.com/woodwork-go/woodwork/chaos/proxy"
	"github.com/woodwork-go/woodwork/internal/redisproc"
)

// Config says what to run. Dir, Bin, Instances and Pace are required.
type Config struct {
	// Dir is an existing folder for everything that the processes leave behind.
	Dir string
	// Bin is where Build put the binaries.
	Bin string
	// Instances is how many processes of each kind there are. There is always one server.
	Instances map[plan.Target]int
	// Pace is the language model's wait before each word.
	Pace time.Duration
	// Redis is the log of the redis-server that is run. Defaults to a nats-server instead.
	Redis redisproc.Fsync
	// LLM are more flags of the language models. Defaults to none: they answer offline.
	LLM []string
	// Wiper wipes what the server holds. Required by faults that wipe.
	Wiper func(server string) Wiper
	// Plain runs relays only, without proxies, that answer with the times of their turns. Defaults to false.
	Plain bool
	// Tell is told of each change of a process. Defaults to nobody.
	Tell func(text string)
}

const module = "github.com/woodwork-go/woodwork/"

// Build builds all binaries into a folder, with clocks that can be set. On Redis the services keep logs for age, if that
// is not 0: they have no setting for it yet, and on NATS the operator has.
func Build(ctx context.Context, dir string, age time.Duration) error {
	var edits []clock.Edit
	if age != 0 {
		adapter, err := clock.Go(ctx, "list", "-f", "{{.Dir}}", module+"framework/bus/redisbus")
		if err != nil {
			return err
		}
		edits = append(edits, clock.Edit{
			Path: filepath.Join(adapter, "config.go"), Old: regexp.MustCompile(`(DefaultMaxAge +)= 24 \* time\.Hour`),
			New: fmt.Sprintf("${1}= %d * time.Nanosecond", age),
		})
	}
	overlay, err := clock.Overlay(ctx, dir, edits...)
	if err != nil {
		return fmt.Errorf("set clocks: %w", err)
	}

	return proc.Build(ctx, dir, overlay, "github.com/nats-io/nats-server/v2",
		module+"services/llm", module+"services/input", module+"services/output", module+"chaos/relay")
}

// System is a running pipeline.
type System struct {
	cfg    Config
	server *unit
	units  map[plan.Target][]*unit
	all    []*unit
	wiping unit // the operator, who does one thing at a time
	wiper  Wiper
	keeper sync.WaitGroup
	stop   context.CancelFunc
}

// Start runs a pipeline and returns when every edge answers. Whoever starts it must close it.
func Start(ctx context.Context, cfg Config) (*System, error) {
	if cfg.Tell == nil {
		cfg.Tell = func(string) {}
	}
	s := &System{cfg: cfg, units: make(map[plan.Target][]*unit), wiping: unit{name: "operator"}}
	keep, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	if err := s.start(ctx, keep); err != nil {
		s.Close()

		return nil, fmt.Errorf("start pipeline: %w", err)
	}

	return s, nil
}

func (s *System) start(ctx, keep context.Context) error {
	if err := os.MkdirAll(s.marks(), 0o700); err != nil {
		return err
	}
	if err := s.addServer(ctx, keep); err != nil {
		return err
	}
	if s.cfg.Wiper != nil {
		s.wiper = s.cfg.Wiper(s.server.address)
	}
	for _, target := range []plan.Target{plan.LLM, plan.Relay, plan.Input, plan.Output} {
		for i := range s.cfg.Instances[target] {
			if err := s.addService(ctx, keep, target, i); err != nil {
				return err
			}
		}
	}
	for _, u := range s.all {
		if err := u.answers(ctx); err != nil {
			return err
		}
	}

	return nil
}

// addServer starts the server and waits until it takes connections.
func (s *System) addServer(ctx, keep context.Context) error {
	addr, err := proc.FreeAddress(ctx)
	if err != nil {
		return err
	}
	spec, err := s.serverSpec(addr)
	if err != nil {
		return err
	}
	if s.server, err = s.add(keep, plan.Server, 0, &unit{address: addr}, spec); err != nil {
		return err
	}

	return s.server.answers(ctx)
}

// serverSpec returns the program that is the server at addr.
func (s *System) serverSpec(addr string) (proc.Spec, error) {
	store := filepath.Join(s.cfg.Dir, "store")
	if err := os.MkdirAll(store, 0o700); err != nil {
		return proc.Spec{}, err
	}
	if s.cfg.Redis != redisproc.NoLog {
		cfg := redisproc.Config{Dir: store, Fsync: s.cfg.Redis}

		return cfg.Spec(addr)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return proc.Spec{}, err
	}

	return s.binary("nats-server", "-js", "-a", host, "-p", port, "-sd", store), nil
}

// binary returns a program that Build built.
func (s *System) binary(name string, args ...string) proc.Spec {
	return proc.Spec{Path: filepath.Join(s.cfg.Bin, name), Args: args}
}

func (s *System) addService(ctx, keep context.Context, target plan.Target, i int) error {
	u := &unit{}
	args := []string{"-server", s.Server(), "-stamp"}
	if !s.cfg.Plain {
		if err := u.openLink(ctx, s.server.address); err != nil {
			return err
		}
		args = []string{"-server", s.url(u.link.Addr())}
	}
	switch target {
	case plan.LLM:
		args = append(args, "-provider", "offline", "-to", string(plan.Relay), "-pace", s.cfg.Pace.String(), "-affinity")
		args = append(args, s.cfg.LLM...)
	case plan.Relay:
		args = append(args, "-marks", s.marks())
	case plan.Input, plan.Output:
		addr, err := proc.FreeAddress(ctx)
		if err != nil {
			u.closeLink()

			return err
		}
		u.address = addr
		args = append(args, "-http", addr)
		if target == plan.Output {
			args = append(args, "-heartbeat", "1s")
		}
	case plan.Server, plan.Logs, plan.Letters, plan.All: // no services
	}
	_, err := s.add(keep, target, i, u, s.binary(string(target), args...))

	return err
}

// add completes a unit and begins to keep it running.
func (s *System) add(keep context.Context, target plan.Target, i int, u *unit, spec proc.Spec) (_ *unit, err error) {
	u.name = string(target) + "-" + strconv.Itoa(i+1)
	if u.clock, err = clock.New(filepath.Join(s.cfg.Dir, u.name+".clock")); err != nil {
		u.closeLink()

		return nil, err
	}
	u.target, u.tell = target, s.cfg.Tell
	u.changed = make(chan struct{})
	u.spec = spec
	u.spec.Env = []string{"HOME=" + s.cfg.Dir, "TMPDIR=" + s.cfg.Dir, clock.Env + "=" + u.clock.Path()}
	u.spec.Log = filepath.Join(s.cfg.Dir, u.name+".log")
	s.units[target] = append(s.units[target], u)
	s.all = append(s.all, u)
	s.keeper.Go(func() { u.keep(keep) })

	return u, nil
}

// marks is where the relay remembers what happened once.
func (s *System) marks() string { return filepath.Join(s.cfg.Dir, "marks") }

// Server returns the URL of the server, without a proxy.
func (s *System) Server() string { return s.url(s.server.address) }

// ServerAddress returns the address of the server, without a proxy.
func (s *System) ServerAddress() string { return s.server.address }

// url returns the URL of a server at an address.
func (s *System) url(addr string) string {
	if s.cfg.Redis != redisproc.NoLog {
		return "redis://" + addr
	}

	return "nats://" + addr
}

// ServerLog returns the path of what the server printed.
func (s *System) ServerLog() string { return s.server.spec.Log }

// Inputs returns the base URLs of the input services.
func (s *System) Inputs() []string { return s.urls(plan.Input) }

// Outputs returns the base URLs of the output services.
func (s *System) Outputs() []string { return s.urls(plan.Output) }

func (s *System) urls(target plan.Target) []string {
	urls := make([]string, 0, len(s.units[target]))
	for _, u := range s.units[target] {
		urls = append(urls, "http://"+u.address)
	}

	return urls
}

// Busiest returns the unit whose process sent the server most since it began, of all instances of a target.
func (s *System) Busiest(target plan.Target) string {
	var busiest *unit
	for _, u := range s.units[target] {
		if busiest == nil || u.link.Passed(proxy.Up) > busiest.link.Passed(proxy.Up) {
			busiest = u
		}
	}

	return busiest.name
}

// Kill kills a unit's process, whose number it returns, and starts the next one after wait.
func (s *System) Kill(ctx context.Context, name string, wait time.Duration) int {
	for _, u := range s.all {
		if u.name == name {
			id := u.running()
			u.kill(ctx, wait)

			return id
		}
	}

	return 0
}

// Exits returns how often a process ended that nobody killed, by unit.
func (s *System) Exits() map[string]int {
	exits := map[string]int{}
	for _, u := range s.all {
		if n := u.exits(); n > 0 {
			exits[u.name] = n
		}
	}

	return exits
}

// CopyLogs writes the end of each process's log to w.
func (s *System) CopyLogs(w io.Writer) error {
	const most = 64 << 10
	for _, u := range s.all {
		text, err := os.ReadFile(u.spec.Log)
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		if _, err := fmt.Fprintf(w, "== %s\n%s\n", u.name, text[max(0, len(text)-most):]); err != nil {
			return fmt.Errorf("copy log: %w", err)
		}
	}

	return nil
}

// Close ends all processes and proxies and waits for them.
func (s *System) Close() {
	s.stop()
	s.keeper.Wait()
	for _, u := range s.all {
		u.closeLink()
		_ = u.clock.Close() // nothing is lost
	}
}
