// Chaos runs a pipeline of real processes on a real server, injects faults, and checks from what every poster and
// reader saw, and from what is stored, that Woodwork kept its promises.
//
//	go run ./chaos                      45 s with a fault each 0.9 s
//	go run ./chaos -duration 15m        the long run
//	go run ./chaos -bus redis           the same on Redis, with -fsync always or everysec
//	go run ./chaos -demo                one answer that survives the death of its worker, to watch
//	go run ./chaos -order               20,000 turns of 1,000 sessions over 8 instances, and what a turn costs
//	go run ./chaos -availability        how many turns succeed while a provider is down half of the time
//
// The faults follow from the seed: kills, pauses longer than a lease, cut, delayed and half-open connections, and
// handlers that panic, fail, hang or leak. The exit code is 1 when a promise was broken; then what happened is kept.
//
// File map: main.go flags; run.go a run; faults.go the plan at work; report.go figures; undone.go what a server may
// forget; demo.go the demonstration; order.go and ordercheck.go turns without faults; availability.go, tally.go,
// openings.go and availabilityreport.go turns while a provider is down.
// Packages: plan, proc, proxy, provider, system what is run and made to fail; relay, hook the downstream service; load,
// sse the users; check, resume the verdict.
package main
