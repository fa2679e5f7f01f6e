// Package breaker keeps callers away from what fails: a circuit breaker for each target, closed while the target
// works, open after a row of failures, half-open while a few calls try whether it works again.
//
// [Run] asks for a [Permit], executes the call within a time-out and reports its outcome; where the call is not
// permitted or failed, the fallback answers. Callers with outcomes of their own use [Breaker.Allow]. What other
// instances found out about a target can be told as a hint; the decision stays here, with a failure that was seen here.
//
// File map: config.go settings; breaker.go one breaker; run.go calls with time-out and fallback; set.go the breakers of
// many targets; status.go what can be seen of one.
package breaker
