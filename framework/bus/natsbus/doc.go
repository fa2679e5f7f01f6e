// Package natsbus is the bus on NATS JetStream: streams as frames in JetStream streams, delivered to any number of
// readers without a consumer for any of them.
//
// The life of a frame: Append publishes it to the log subject of its stream on condition of the last sequence there,
// so that of two writers only one gets on, and order, fencing and exactly-once come from one mechanism. The frame's
// headers hold what a reader needs to know of it, a checksum, and links: the sequences of earlier frames of its
// stream. Once it is stored, the server republishes it to the stream's live subject, where Follow has subscribed. A
// reader that missed something asks Last for the log's last frame, from the leader, and Read goes back over the links
// to where the reader stands: it never scans a log that a hundred thousand other streams share.
//
// Positions are sequences: Minor is the frame's own, and Major, mostly 0, is that of an entry behind it that isn't
// ours, which the next append must expect.
//
// File map: config.go, connect.go, credentials.go, check.go and open.go open the bus, dialerror.go says why they could
// not, and handlers.go and restored.go keep it connected; jetstreams.go and provision.go make what the application keeps on the
// servers; request.go, publish.go, get.go, direct.go and errors.go talk to JetStream; codec.go, decode.go and header.go
// are the wire form of a frame and links.go its links; append.go, read.go, linkreader.go, follow.go and interest.go are the
// log; signals.go hints that nothing stores; kv.go, watch.go and feed.go the buckets; counts.go what could not be read; dead.go
// letters that were set aside. The mailbox is in mailbox*.go, with its entries in register.go and its protocol in
// internal/mailbox; calls are in rpc*.go; announce.go shows instances to the broker's tools.
package natsbus
