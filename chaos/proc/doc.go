// Package proc builds and runs the programs of a chaos run as real processes that can be killed, stopped and started
// again, and makes sure that none of them is left behind.
//
// File map: build.go from packages to binaries; proc.go one process; signal_*.go and attr_*.go what depends on the
// operating system; port.go addresses that stay free between two lives of a process.
package proc
