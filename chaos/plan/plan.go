package plan

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Kind is what is done to a target.
type Kind string

// The kinds of faults.
const (
	// Kill ends the process with SIGKILL; it is started again after For.
	Kill Kind = "kill"
	// Pause stops the process with SIGSTOP for For, which is longer than a lease, and then lets it go on.
	Pause Kind = "pause"
	// Cut resets all of the process's connections to the server.
	Cut Kind = "cut"
	// Delay holds all bytes between the process and the server by By, for For.
	Delay Kind = "delay"
	// StallUp lets nothing of the process reach the server for For; the connection stays open.
	StallUp Kind = "half-open up"
	// StallDown lets nothing of the server reach the process for For; the connection stays open.
	StallDown Kind = "half-open down"
)

// Target is the kind of process that a fault is for.
type Target string

// The targets.
const (
	LLM    Target = "llm"
	Relay  Target = "relay"
	Input  Target = "input"
	Output Target = "output"
	Server Target = "server"
)

// Fault is one planned fault.
type Fault struct {
	// At is when, after the beginning of the run.
	At time.Duration `json:"at"`
	// Kind says what is done.
	Kind Kind `json:"kind"`
	// Target says to which kind of process.
	Target Target `json:"target"`
	// Pick chooses one of its instances: modulo their number.
	Pick int `json:"pick"`
	// For is how long the fault lasts.
	For time.Duration `json:"for"`
	// By is how long bytes are delayed.
	By time.Duration `json:"by,omitempty"`
}

// Name returns the fault's kind and target, such as "kill llm".
func (f *Fault) Name() string { return fmt.Sprintf("%s %s", f.Kind, f.Target) }

// Config says how many faults there are.
type Config struct {
	// Seed decides everything.
	Seed uint64
	// Length of the run; no fault begins later.
	Length time.Duration
	// Gap is the mean time from one fault to the next.
	Gap time.Duration
}

// New draws up a plan, in the order of time.
func New(cfg Config) []Fault {
	const stream = 1 // of random numbers; others of the seed belong to others
	random := rand.New(rand.NewPCG(cfg.Seed, stream))
	var faults []Fault
	for at := gap(random, cfg.Gap); at < cfg.Length; at += gap(random, cfg.Gap) {
		f := draw(random)
		f.At = at
		faults = append(faults, f)
	}

	return faults
}

// gap draws from an exponential distribution without its extremes.
func gap(random *rand.Rand, mean time.Duration) time.Duration {
	const least, most = 0.1, 4

	return time.Duration(min(max(random.ExpFloat64(), least), most) * float64(mean))
}

// choice is a fault with its share of all.
type choice struct {
	weight int
	kind   Kind
	target Target
}

// choices are all faults. The shares add up to 100.
func choices() []choice {
	return []choice{
		{18, Kill, LLM},
		{13, Kill, Relay},
		{7, Kill, Input},
		{7, Kill, Output},
		{3, Kill, Server},
		{7, Pause, LLM},
		{6, Pause, Relay},
		{2, Pause, Input},
		{2, Pause, Output},
		{1, Pause, Server},
		{4, Cut, LLM},
		{3, Cut, Relay},
		{2, Cut, Input},
		{2, Cut, Output},
		{3, Delay, LLM},
		{3, Delay, Relay},
		{2, Delay, Input},
		{2, Delay, Output},
		{3, StallUp, LLM},
		{2, StallUp, Relay},
		{1, StallUp, Input},
		{3, StallDown, LLM},
		{2, StallDown, Relay},
		{1, StallDown, Input},
		{1, StallDown, Output},
	}
}

func draw(random *rand.Rand) Fault {
	const percent, instances = 100, 1 << 16
	f := Fault{Pick: random.IntN(instances)}
	n := random.IntN(percent)
	for _, c := range choices() {
		if n -= c.weight; n < 0 {
			f.Kind, f.Target = c.kind, c.target

			break
		}
	}
	f.For, f.By = length(random, f), 0
	if f.Kind == Delay {
		f.By = between(random, 20*time.Millisecond, 200*time.Millisecond)
	}

	return f
}

// length says how long a fault lasts. Pauses and most stalls are longer than a lease, so that another instance takes
// over; some stalls are so long that the client of the server gives the connection up.
func length(random *rand.Rand, f Fault) time.Duration {
	switch f.Kind {
	case Kill:
		return between(random, 50*time.Millisecond, 700*time.Millisecond)
	case Pause:
		return between(random, 2*time.Second, 4*time.Second)
	case StallUp, StallDown:
		const oneIn = 10
		if random.IntN(oneIn) == 0 {
			return between(random, 11*time.Second, 16*time.Second)
		}

		return between(random, 500*time.Millisecond, 4*time.Second)
	case Delay:
		return between(random, time.Second, 4*time.Second)
	case Cut:
		return 0
	default:
		return 0
	}
}

func between(random *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(random.Int64N(int64(high-low)))
}
