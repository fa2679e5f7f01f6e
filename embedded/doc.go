// Package embedded runs a nats-server with JetStream inside the calling process, for development and for tests.
//
// A server belongs to one data directory and, if asked for, to one TCP address. [Start] takes a lock on the directory,
// recovers what an earlier server stored there, and returns once clients can connect: over TCP with [Server.URL], or
// without any listener through [Server.InProcessConn], which nats.go takes as its in-process server. What a client
// stores is on disk before it is acknowledged; [Server.Close] waits until the server has let go of files, listener and
// goroutines, and only then gives the directory back. The server behaves as a library: it installs no signal handler,
// never ends the process and writes to no standard stream. What a [Config] has no field for, such as users and TLS, comes
// from a configuration file of nats-server.
//
// [StartCluster] does the same for several servers that replicate to each other over loopback, whose nodes can be
// stopped and restarted one by one.
//
// File map: config.go the settings; server.go one server; errors.go why a start failed; dir.go and lock_*.go the data
// directory and who owns it; address.go where to listen; log.go the server's log; cluster.go, ready.go the cluster and
// when it can be used; ports.go the ports of its nodes.
package embedded
