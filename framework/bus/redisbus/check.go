package redisbus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// The least version that has what is needed: XTRIM MINID and exclusive ranges.
const (
	minMajor = 6
	minMinor = 2
)

// checkError is a failed check of the server, with what to do about it.
type checkError struct {
	err  error
	hint string
}

// Error implements error.
func (e *checkError) Error() string { return e.err.Error() }

// Unwrap returns the reason.
func (e *checkError) Unwrap() error { return e.err }

// facts is what servers say of themselves, one for each that takes writes.
type facts []fact

type fact struct {
	version  string
	cluster  bool
	aof      bool
	sync     string // of the AOF: always, everysec, no; "" when it is not known
	replicas int
	limit    uint64 // of memory; 0: none
	policy   string // at the limit
}

// look asks every server that takes writes.
func (b *Bus) look(ctx context.Context) (facts, error) {
	cluster, ok := b.client.(*redis.ClusterClient)
	if !ok {
		f, err := lookAt(ctx, b.client)

		return facts{f}, err
	}
	var (
		mu  sync.Mutex
		all facts
	)
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		f, err := lookAt(ctx, c)
		mu.Lock()
		defer mu.Unlock()
		all = append(all, f)

		return err
	})
	if err == nil && len(all) == 0 {
		err = errNoServer
	}

	return all, err
}

// askAgain is how long is waited before a server that reads its file, or was too slow, is asked again.
const askAgain = 100 * time.Millisecond

// lookAt asks one server, for as long as ctx allows where it takes its time. While it reads its file it says that it has
// none, so that is waited for.
func lookAt(ctx context.Context, c redis.Cmdable) (fact, error) {
	says, err := ask(ctx, c)
	for says["loading"] == "1" || timedOut(err) {
		if !pause(ctx, askAgain) {
			break
		}
		says, err = ask(ctx, c)
	}
	if says["loading"] == "1" {
		return fact{}, &checkError{fmt.Errorf("the server reads its file: %w", ctx.Err()), "try again when it has"}
	}
	if err != nil {
		return fact{}, fmt.Errorf("ask for INFO: %w", err)
	}
	f := fact{
		version: says["redis_version"], cluster: says["cluster_enabled"] == "1" || says["redis_mode"] == "cluster",
		aof: says["aof_enabled"] == "1", policy: says["maxmemory_policy"],
	}
	f.replicas, _ = strconv.Atoi(says["connected_slaves"])
	f.limit, _ = strconv.ParseUint(says["maxmemory"], 10, 64)
	// Managed servers refuse CONFIG: then the weaker class is reported.
	if conf, err := c.ConfigGet(ctx, "appendfsync").Result(); err == nil {
		f.sync = conf["appendfsync"]
	}

	return f, nil
}

// timedOut reports whether a server that is there didn't answer in time.
func timedOut(err error) bool {
	var network net.Error

	return errors.As(err, &network) && network.Timeout()
}

func ask(ctx context.Context, c redis.Cmdable) (map[string]string, error) {
	info, err := c.Info(ctx).Result()

	return parseInfo(info), err
}

// parseInfo reads lines of the form "name:value".
func parseInfo(s string) map[string]string {
	says := map[string]string{}
	for line := range strings.Lines(s) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), ":"); found {
			says[name] = value
		}
	}

	return says
}

// check finds out whether the servers have what is needed and keep what they acknowledge.
func (all facts) check() error {
	for _, f := range all {
		if !recent(f.version) {
			return &checkError{
				fmt.Errorf("the server is of version %.40q, %d.%d is needed", f.version, minMajor, minMinor),
				fmt.Sprintf("use Redis %d.%d or later, or Valkey", minMajor, minMinor),
			}
		}
		if f.limit > 0 && f.policy != "noeviction" {
			return &checkError{
				fmt.Errorf("the server has a limit of memory and maxmemory-policy %.40s: it would drop stored data at the limit",
					f.policy),
				"set `maxmemory-policy noeviction`",
			}
		}
	}

	return nil
}

// recent reports whether a version is at least the one that is needed.
func recent(version string) bool {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(major)
	m, errMinor := strconv.Atoi(minor)

	return err == nil && errMinor == nil && slices.Compare([]int{n, m}, []int{minMajor, minMinor}) >= 0
}
