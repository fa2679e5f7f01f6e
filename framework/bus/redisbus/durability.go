package redisbus

import (
	"context"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// durability returns what an acknowledged append survives on the weakest of the servers. Replicas add nothing that can
// be promised: they get an entry after it was acknowledged.
//
// Of a server that syncs every second Local is true but for the last two seconds: while a sync is under way, which it
// leaves to another thread, it puts off writing its log for up to that long, and answers all the same.
func (all facts) durability() bus.Durability {
	class := bus.LocalSynced
	for _, f := range all {
		switch {
		case !f.aof:
			return bus.Memory
		case f.sync != "always":
			class = bus.Local
		}
	}

	return class
}

// describe makes what Info returns, and warns of a server that keeps nothing.
func (b *Bus) describe(all facts) {
	info := bus.Info{
		Kind: "redis", URL: redact(b.cfg.URL), Durability: all.durability(), MaxBody: maxBody, Retention: b.cfg.MaxAge,
	}
	before := b.info.Swap(&info)
	if info.Durability == bus.Memory {
		warning := b.log.Warn().Str("url", info.URL)
		for _, f := range all {
			if !f.aof && f.replicas == 0 {
				warning = warning.Bool("replica", false)

				break
			}
		}
		warning.Msg("this Redis server has no append-only file: what it acknowledged is LOST when it restarts; " +
			"set `appendonly yes`")
	}
	if before != nil && before.Durability != info.Durability {
		b.log.Warn().Str("before", string(before.Durability)).Str("durability", string(info.Durability)).
			Msg("the durability class changed; another server may have taken over")
	}
}

// lookAgain finds out, after a new connection, what the server that is there now keeps.
func (b *Bus) lookAgain(ctx context.Context) {
	all, err := b.look(ctx)
	if err != nil {
		return // the next new connection looks again
	}
	if err := all.check(); err != nil {
		b.log.Error().Err(err).Msg("the Redis server that is there now does not do")
	}
	b.describe(all)
}
