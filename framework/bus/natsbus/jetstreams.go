package natsbus

import (
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// otherConfigs returns all JetStream streams of the application but the one of turns.
func (b *Bus) otherConfigs(replicas int) []jetstream.StreamConfig {
	buckets := []bus.Bucket{bus.Registry, bus.Sessions}
	configs := make([]jetstream.StreamConfig, 0, 1+b.ns.Shards()+len(buckets))
	configs = append(configs, deadConfig(b.ns, replicas))
	for shard := range b.ns.Shards() {
		configs = append(configs, b.logConfig(shard, replicas))
	}
	for _, bucket := range buckets {
		configs = append(configs, bucketConfig(b.ns, bucket, replicas))
	}

	return configs
}

// baseConfig is what all have in common: files, entries kept until they expire or are deleted, nothing dropped to make
// room, and no way to empty it at one stroke: whoever publishes a rollup header or asks for a purge is refused.
func baseConfig(ns subjects.Namespace, name string, replicas int, bound ...string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              name,
		Subjects:          bound,
		Storage:           jetstream.FileStorage,
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardNew,
		Replicas:          max(replicas, 1),
		MaxBytes:          -1,
		MaxMsgs:           -1,
		MaxMsgsPerSubject: -1,
		MaxConsumers:      -1,
		MaxMsgSize:        -1,
		Duplicates:        duplicates,
		DenyPurge:         true,
		Metadata:          map[string]string{metaVersion: protocolVersion, metaShards: strconv.Itoa(ns.Shards())},
	}
}

// logConfig is a shard's frames. What was stored is republished to readers, and may be read from any replica by its
// sequence, which never changes. Entries may be deleted by sequence, so that a session can be erased before its age.
func (b *Bus) logConfig(shard, replicas int) jetstream.StreamConfig {
	c := baseConfig(b.ns, b.ns.LogStream(shard), replicas, b.ns.LogWildcard(shard))
	c.Description = "Woodwork: frames of streams"
	c.RePublish = &jetstream.RePublish{Source: b.ns.LogWildcard(shard), Destination: b.ns.LiveWildcard(shard)}
	c.AllowDirect = true
	c.MaxAge = DefaultMaxAge
	if b.cfg.MaxAge != 0 {
		c.MaxAge = b.cfg.MaxAge
	}
	if b.cfg.MaxBytes != 0 {
		c.MaxBytes = b.cfg.MaxBytes
	}

	return c
}

// turnsConfig is inboxes, the mailboxes' registers and commands. It is read from the leader only. Turns that were
// accepted don't expire: workers delete what is done.
func turnsConfig(ns subjects.Namespace, replicas int) jetstream.StreamConfig {
	c := baseConfig(ns, ns.TurnsStream(), replicas, ns.TurnsWildcards()...)
	c.Description = "Woodwork: turns"

	return c
}

// deadConfig is the turns that were set aside.
func deadConfig(ns subjects.Namespace, replicas int) jetstream.StreamConfig {
	c := baseConfig(ns, ns.DeadStream(), replicas, ns.DeadWildcard())
	c.Description = "Woodwork: dead letters"
	c.MaxAge = bus.DeadLetterAge

	return c
}

// bucketConfig is a bucket as NATS tools know them. Notices of expired keys need delete markers, for which the server
// insists on rollups: whoever may write one key can erase the bucket, so a tenant is an account.
func bucketConfig(ns subjects.Namespace, bucket bus.Bucket, replicas int) jetstream.StreamConfig {
	name := ns.Bucket(string(bucket))
	c := baseConfig(ns, bucketPrefix+name, replicas, kvSubjects(name)+">")
	c.Description = "Woodwork: " + string(bucket)
	c.MaxMsgsPerSubject = 1
	c.AllowDirect = true
	c.AllowMsgTTL = true
	c.AllowRollup = true
	c.SubjectDeleteMarkerTTL = markerTTL
	c.DenyPurge = false
	c.DenyDelete = true

	return c
}
