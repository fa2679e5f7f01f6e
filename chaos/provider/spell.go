package provider

import (
	"math/rand/v2"
	"time"
)

// Spell is a time in which a provider is down.
type Spell struct {
	// From and To are when, after the beginning of the run.
	From, To time.Duration
	// Mode is how it is down.
	Mode Mode
}

// Spells draws up when a provider is down: half of the length, in turns of about the given length each, beginning with one
// in which it is up. Every mode comes as often as the others.
func Spells(seed uint64, length, each time.Duration) []Spell {
	const (
		stream      = 2 // of random numbers; others of the seed belong to others
		least, span = 0.5, 1.0
	)
	random := rand.New(rand.NewPCG(seed, stream))
	var (
		spells []Spell
		modes  []Mode
	)
	for at := time.Duration(0); at < length; {
		if len(modes) == 0 {
			modes = Modes()
			random.Shuffle(len(modes), func(i, j int) { modes[i], modes[j] = modes[j], modes[i] })
		}
		half := min(time.Duration((least+span*random.Float64())*float64(each)), (length-at)/2+1)
		spells = append(spells, Spell{From: at + half, To: at + 2*half, Mode: modes[0]})
		modes, at = modes[1:], at+2*half
	}

	return spells
}
