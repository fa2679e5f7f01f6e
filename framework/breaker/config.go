package breaker

import "time"

// Config says when a breaker opens and closes. The zero value works.
type Config struct {
	// Failures is how many calls must fail in a row to open the breaker. Defaults to 5; -1 never opens it.
	Failures int
	// Recovery is how long an open breaker refuses calls before it lets probes through. Defaults to 60 s.
	Recovery time.Duration
	// Successes is how many probes must succeed in a row to close the breaker. Defaults to 3.
	Successes int
	// Probes is how many probes may be under way at once. Defaults to 1.
	Probes int
	// Timeout bounds a call by [Run], which fails when it is over. Defaults to 30 s; -1 sets no bound.
	Timeout time.Duration
	// OnChange is told of each change. It is called after the change, by the goroutine that caused it, possibly
	// concurrently, and must not block. Defaults to nobody.
	OnChange func(Change)
}

func (c Config) withDefaults() Config {
	c.Failures = orDefault(c.Failures, 5)
	c.Recovery = orDefault(c.Recovery, time.Minute)
	c.Successes = orDefault(c.Successes, 3)
	c.Probes = orDefault(c.Probes, 1)
	c.Timeout = orDefault(c.Timeout, 30*time.Second)

	return c
}

func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}

	return v
}
