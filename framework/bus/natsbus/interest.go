package natsbus

import (
	"context"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
)

const (
	headerExpectStream = "Nats-Expected-Stream"
	// noStream is what no JetStream stream is called, so an append that expects it is refused and stores nothing.
	noStream = "none"
)

// settleInterest waits until the server that republishes a stream's frames knows what this connection has subscribed to.
//
// In a cluster that may be another server, and word of a subscription goes there by the route of the account, while
// requests to the JetStream API go by the route of the system account and may be there first. An append goes by the
// account's, so one that is refused comes back when the subscription is known. Without an answer in time the reader goes
// on all the same: it will look at the log by itself.
func (b *Bus) settleInterest(ctx context.Context, id bus.StreamID) {
	subject, err := b.ns.Log(id.Session, id.Stream)
	if err != nil || b.nc.ConnectedClusterName() == "" {
		return
	}
	m := &nats.Msg{Subject: subject, Header: nats.Header{headerExpectStream: []string{noStream}}}
	_, _ = b.req.do(ctx, m, b.cfg.AppendTimeout)
}
