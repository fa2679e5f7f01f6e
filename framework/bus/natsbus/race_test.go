//go:build race

package natsbus

// raceEnabled says that the race detector runs, which makes everything several times slower.
const raceEnabled = true
