package natsbus

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

const (
	minMaxAge = time.Minute
	// duplicates is the window of the server's own de-duplication, which we don't use and which costs memory.
	duplicates = 5 * time.Second
	// markerTTL is how long a bucket remembers that a key has gone, so that watchers learn of it.
	markerTTL = time.Hour

	metaVersion = "woodwork.version"
	metaShards  = "woodwork.shards"

	clusterReplicas = 3
	createTimeout   = 5 * time.Second
	// placeTimeout bounds the wait for servers that are known and count as offline.
	placeTimeout = 10 * time.Second
)

// deployment is what the servers have of the application, as far as it is not the same everywhere.
type deployment struct {
	replicas  int
	retention time.Duration // of frames, the shortest of all shards; 0: for ever
}

// provision makes what isn't there and checks what is; it returns what is in force. Any number of
// processes may do it at once: the servers decide who makes a JetStream stream, and the others take it as it is. The
// one of turns comes first, so that it decides over the number of shards.
func (b *Bus) provision(ctx context.Context) (deployment, error) {
	var err error
	if b.ns, err = subjects.New(b.cfg.App, b.cfg.Shards); err != nil {
		return deployment{}, err
	}
	turns, err := b.ensureTurns(ctx)
	if err != nil {
		return deployment{}, err
	}
	if err := b.adoptShards(turns); err != nil {
		return deployment{}, err
	}
	wanted := b.otherConfigs(turns.Replicas)
	there := make([]jetstream.StreamConfig, len(wanted))
	group, ctx := errgroup.WithContext(ctx)
	for i, want := range wanted {
		group.Go(func() (err error) {
			there[i], err = b.ensure(ctx, want)

			return err
		})
	}

	err = group.Wait()

	return deployment{replicas: turns.Replicas, retention: retention(there)}, err
}

// retention returns how long all shards keep frames, 0 for ever.
func retention(all []jetstream.StreamConfig) time.Duration {
	shortest := time.Duration(0)
	for _, c := range all {
		frames := c.RePublish != nil
		if frames && c.MaxAge > 0 && (shortest == 0 || c.MaxAge < shortest) {
			shortest = c.MaxAge
		}
	}

	return shortest
}

// ensureTurns makes the JetStream stream of turns. In a new deployment it finds out how many replicas there can be.
func (b *Bus) ensureTurns(ctx context.Context) (jetstream.StreamConfig, error) {
	replicas := b.cfg.Replicas
	if replicas == 0 && b.nc.ConnectedClusterName() != "" {
		replicas = clusterReplicas
	}
	have, err := b.ensure(ctx, turnsConfig(b.ns, replicas))
	if b.cfg.Replicas == 0 && tooFewServers(err) && len(b.nc.Servers()) < clusterReplicas {
		b.log.Warn().Msg("the cluster has fewer than three servers: keeping one copy of everything")

		return b.ensure(ctx, turnsConfig(b.ns, 1))
	}
	if tooFewServers(err) {
		return have, &checkError{err, "start all servers of the cluster, or set the number of replicas"}
	}

	return have, err
}

// awaitsPeers reports whether copies found no place although enough servers are known: in a cluster that has just
// started, or one that is slow, a server counts as offline until its next sign of life.
func (b *Bus) awaitsPeers(err error, replicas int) bool {
	var ae *jetstream.APIError

	return errors.As(err, &ae) && ae.ErrorCode == codeNoPeers && len(b.nc.Servers()) >= replicas
}

func tooFewServers(err error) bool {
	var ae *jetstream.APIError

	return errors.As(err, &ae) && (ae.ErrorCode == codeNoPeers || ae.ErrorCode == codeReplicasUnsupported)
}

// adoptShards takes over the number of shards of an existing deployment, or refuses another: it decides where
// everything is.
func (b *Bus) adoptShards(turns jetstream.StreamConfig) error {
	there, err := strconv.Atoi(turns.Metadata[metaShards])
	if err != nil || turns.Metadata[metaVersion] != protocolVersion {
		return &checkError{
			fmt.Errorf("JetStream stream %s was not made by this version of Woodwork: %w", turns.Name, bus.ErrUnsupported),
			"upgrade this program, or use another application name",
		}
	}
	if b.cfg.Shards != 0 && b.cfg.Shards != there {
		return &checkError{
			fmt.Errorf("application %s has %d shards, not %d: %w", b.ns.App(), there, b.cfg.Shards, bus.ErrInvalid),
			"leave the number of shards as it was made, or use another application name",
		}
	}
	b.ns, err = subjects.New(b.cfg.App, there)
	if err != nil {
		return fmt.Errorf("shards of %s: %w", turns.Name, err)
	}
	b.logNames = make([]string, there)
	for i := range b.logNames {
		b.logNames[i] = b.ns.LogStream(i)
	}

	return nil
}

// ensure returns the settings of the JetStream stream after it is there as wanted. Settings that the configuration
// leaves open are taken as they are.
func (b *Bus) ensure(ctx context.Context, want jetstream.StreamConfig) (jetstream.StreamConfig, error) {
	begun := time.Now()

	for attempt := 0; ; attempt++ {
		have, err := b.ensureOnce(ctx, want)
		if err == nil {
			b.keeper.keep(have)
		}
		awaited := b.awaitsPeers(err, want.Replicas) && time.Since(begun) < placeTimeout ||
			errors.Is(err, jetstream.ErrStreamNotFound) // another process's is still being made
		if err == nil || !awaited && !transient(err) || b.refused.Load() != nil {
			return have, err
		}
		if wait := b.pause(ctx, attempt); wait != nil {
			return have, fmt.Errorf("%w: %w", wait, err)
		}
	}
}

func (b *Bus) ensureOnce(ctx context.Context, want jetstream.StreamConfig) (jetstream.StreamConfig, error) {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	s, err := b.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if err = b.create(ctx, want); err == nil {
			s, err = b.js.Stream(ctx, want.Name)
		}
	}
	if err != nil {
		return jetstream.StreamConfig{}, fmt.Errorf("make JetStream stream %s: %w", want.Name, err)
	}
	have := s.CachedInfo().Config
	if err := fits(have, want); err != nil {
		return have, err
	}
	tuned := b.tune(have, want)
	if reflect.DeepEqual(tuned, have) {
		return have, nil
	}
	if s, err = b.js.UpdateStream(ctx, tuned); err != nil {
		return have, fmt.Errorf("change JetStream stream %s: %w", want.Name, err)
	}
	b.log.Info().Str("jetstream", want.Name).Msg("changed replicas, age or size limit as configured")

	return s.CachedInfo().Config, nil
}

// tune applies the settings that an operator chose and that may change at any time.
func (b *Bus) tune(have, want jetstream.StreamConfig) jetstream.StreamConfig {
	if b.cfg.Replicas != 0 {
		have.Replicas = want.Replicas
	}
	if want.RePublish != nil && b.cfg.MaxAge != 0 {
		have.MaxAge = want.MaxAge
	}
	if want.RePublish != nil && b.cfg.MaxBytes != 0 {
		have.MaxBytes = want.MaxBytes
	}

	return have
}

// fits reports the first setting that the protocol relies on and that is different.
func fits(have, want jetstream.StreamConfig) error {
	for _, s := range []struct {
		name       string
		have, want any
	}{
		{"subjects", have.Subjects, want.Subjects},
		{"storage", have.Storage, want.Storage},
		{"retention", have.Retention, want.Retention},
		{"discard", have.Discard, want.Discard},
		{"republish", have.RePublish, want.RePublish},
		{"allow_direct", have.AllowDirect, want.AllowDirect},
		{"allow_msg_ttl", have.AllowMsgTTL, want.AllowMsgTTL},
		{"max_msgs_per_subject", have.MaxMsgsPerSubject, want.MaxMsgsPerSubject},
		{"persist_mode", have.PersistMode, want.PersistMode},
		{"sealed", have.Sealed, want.Sealed},
	} {
		if !reflect.DeepEqual(s.have, s.want) {
			return &checkError{
				fmt.Errorf("JetStream stream %s has other settings: %s is %s, not %s",
					want.Name, s.name, show(s.have), show(s.want)),
				"delete it if nobody needs it, or use another application name",
			}
		}
	}

	return nil
}

func show(v any) string {
	if r, ok := v.(*jetstream.RePublish); ok && r != nil {
		return r.Source + " to " + r.Destination
	}

	return fmt.Sprint(v)
}
