// Package redistest starts redis-server processes for tests and ends them when the test ends.
//
// Each server has its own data directory under the test's temporary directory and a free port on the loopback
// interface, so tests with servers run in parallel. A test can kill its server and start it again on the same address
// and data. Where there is no redis-server the test fails and says how to get one.
//
// File map: redistest.go starts and ends; certificates.go makes what TLS needs.
package redistest
