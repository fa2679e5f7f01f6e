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
// The faults follow from the seed: kills, pauses longer than a lease, cut, delayed and half-open connections, handlers
// that panic, fail, hang or leak, and time itself: wall clocks that go wrong by more than five minutes, processes that
// are suspended with their monotonic clock, also all at once with the server, and with -age a bus that keeps everything
// for much less than the run takes. An operator wipes the streams of some sessions, and the turns of all. Some sessions
// live through it all, are cancelled and interrupted, and are visited by readers whose cursors are of any age: those
// must go on where they were, or be told that their place is gone and begin with the oldest that is there.
//
// The exit code is 1 when a promise was broken; then what happened is kept.
//
// File map: main.go flags; run.go a run; faults.go the plan at work; report.go figures; undone.go what a server may
// forget; demo.go the demonstration; order.go and ordercheck.go turns without faults; availability.go, tally.go,
// openings.go and availabilityreport.go turns while a provider is down.
// Packages: plan, proc, proxy, provider, system, clock, operator what is run and made to fail; relay, hook the downstream
// service; load, sse the users; check, resume the verdict.
package main
