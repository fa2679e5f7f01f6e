package plan

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
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
	// Step makes the process's wall clock wrong by By, either way, for For, and then sets it right.
	Step Kind = "clock step"
	// Suspend stops the process for For, which is longer than a lease and than what the registry waits for a heartbeat at
	// times; its monotonic clock stands still meanwhile, as that of a suspended machine does.
	Suspend Kind = "suspend"
	// SuspendAll suspends a process of each kind and the server at once.
	SuspendAll Kind = "suspend all"
	// Wipe takes away what the server holds of some sessions: with the target Logs their streams, with the target Letters
	// the turns of all sessions that wait or run.
	Wipe Kind = "wipe"
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
	// Logs are the streams of some sessions: on NATS those of a shard, on Redis those of one session.
	Logs Target = "logs"
	// Letters are the posted turns of all sessions; on NATS only.
	Letters Target = "turns"
	// All is a process of each kind and the server.
	All Target = "all"
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
	// By is how long bytes are delayed, or by how much a clock is wrong.
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
	// Letters says that the server keeps posted turns apart from the rest, so that they can be wiped. Defaults to false.
	Letters bool
}

// New draws up a plan, in the order of time: rare faults now and then, and the others as they come.
func New(cfg Config) []Fault {
	const stream = 1 // of random numbers; others of the seed belong to others
	random := rand.New(rand.NewPCG(cfg.Seed, stream))
	var faults []Fault
	for at := gap(random, cfg.Gap); at < cfg.Length; at += gap(random, cfg.Gap) {
		f := draw(random, choices())
		f.At = at
		faults = append(faults, f)
	}
	faults = append(faults, rare(random, cfg)...)
	slices.SortStableFunc(faults, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })

	return faults
}

// rare draws the faults that are too hard on everyone to be drawn by chance: each once, in an order of its own, and again
// as long as the run leaves time to see what comes of it.
func rare(random *rand.Rand, cfg Config) []Fault {
	const (
		least = 15 * time.Second // a shorter run has none
		every = 40 * time.Second // of all together
		end   = 0.85             // of the run: the rest is for seeing that all goes on
		share = 8                // of the run that one lasts at most
		short = 2500 * time.Millisecond
	)
	if cfg.Length < least {
		return nil
	}
	sorts := []choice{
		{kind: Wipe, target: Logs},
		{kind: Suspend, target: Server},
		{kind: SuspendAll, target: All},
		{kind: Step, target: LLM},
		{kind: Suspend, target: LLM},
	}
	if cfg.Letters {
		sorts = append(sorts, choice{kind: Wipe, target: Letters})
	}
	n := max(len(sorts), int(cfg.Length/every))
	slot := time.Duration(end * float64(cfg.Length) / float64(n))
	faults := make([]Fault, 0, n)
	for len(faults) < n {
		random.Shuffle(len(sorts), func(i, j int) { sorts[i], sorts[j] = sorts[j], sorts[i] })
		for _, c := range sorts[:min(len(sorts), n-len(faults))] {
			f := fault(random, c)
			f.For = min(f.For, max(cfg.Length/share, short))
			f.At = time.Duration(len(faults))*slot + between(random, slot/8, slot)
			faults = append(faults, f)
		}
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
		{15, Kill, LLM},
		{11, Kill, Relay},
		{6, Kill, Input},
		{6, Kill, Output},
		{3, Kill, Server},
		{5, Pause, LLM},
		{4, Pause, Relay},
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
		{3, Step, LLM},
		{2, Step, Relay},
		{1, Step, Input},
		{1, Step, Output},
		{2, Suspend, LLM},
		{1, Suspend, Relay},
		{1, Suspend, Output},
	}
}

func draw(random *rand.Rand, of []choice) Fault {
	const percent = 100
	n := random.IntN(percent)
	i := slices.IndexFunc(of, func(c choice) bool {
		n -= c.weight

		return n < 0
	})

	return fault(random, of[i])
}

// fault returns one of a sort.
func fault(random *rand.Rand, of choice) Fault {
	const instances = 1 << 16
	f := Fault{Pick: random.IntN(instances), Kind: of.kind, Target: of.target}
	f.For = length(random, f)
	switch f.Kind {
	case Delay:
		f.By = between(random, 20*time.Millisecond, 200*time.Millisecond)
	case Step:
		// More than an envelope's allowance for wrong clocks, which is 300 s.
		f.By = between(random, 301*time.Second, 15*time.Minute).Round(time.Second)
		if random.IntN(2) == 0 {
			f.By = -f.By
		}
	case Kill, Pause, Cut, StallUp, StallDown, Suspend, SuspendAll, Wipe:
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
	case Step:
		return between(random, 2*time.Second, 8*time.Second)
	case Suspend:
		return between(random, 2*time.Second, 12*time.Second)
	case SuspendAll:
		return between(random, 2*time.Second, 8*time.Second)
	case Cut, Wipe:
		return 0
	default:
		return 0
	}
}

func between(random *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(random.Int64N(int64(high-low)))
}
