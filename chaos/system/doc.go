// Package system runs a whole pipeline as real processes, each behind a proxy of its own, and makes them fail.
//
// The pipeline is input → llm → relay → output on one nats-server or redis-server. Each process has a keeper that starts it again
// whenever it ends, as an orchestrator would. A fault is injected into one unit, a process with its proxy and its clock,
// and a unit suffers one fault at a time. What the server holds is wiped by an operator, who is not of the pipeline.
//
// File map: system.go the pipeline; unit.go one process and its keeper; inject.go faults.
package system
