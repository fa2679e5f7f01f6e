package bustest

import (
	"cmp"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Features names what buses may honestly differ in. The zero value asks for the least.
type Features struct {
	// PostOnce: a letter whose id is that of a letter that waits in the mailbox is not stored again. Without it the
	// suite accepts repeated letters.
	PostOnce bool
	// BacklogExact: the backlog is all mailboxes that wait. Without it those that were handed out before and wait again,
	// after a release or because their worker died, are left out, and one too many may be counted while all workers are
	// busy.
	BacklogExact bool
	// Lease is that of the cases about time. It must be longer than what the machine and the broker need for a renewal
	// at their slowest, else these cases say nothing. Defaults to 300 ms.
	Lease time.Duration
	// LeaseSlack is how much later than its lease or delay a mailbox may be handed out. Defaults to 2 s
	// or to twice the lease, whichever is longer.
	LeaseSlack time.Duration
	// ExpirySlack is how much later than its ttl a key may be seen to expire. Defaults to 3 s.
	ExpirySlack time.Duration
	// Age is for how long the broker keeps entries in the cases about age: the shortest that it can do and that is long
	// beside what the machine and the broker need for an append at their slowest. Defaults to 2 s.
	Age time.Duration
	// AgeSlack is how much later than an eighth after its age an entry may still be seen. Defaults to 1 s.
	AgeSlack time.Duration
	// Virtual: the broker runs in a bubble of [synctest], so the cases about age do, each with a broker of its own.
	Virtual bool
	// Letters is how many letters the stress case posts; the case of letters posted to a mailbox that becomes empty
	// posts a twentieth. Defaults to 1,000.
	Letters int
	// Faultless leaves out the cases behind [Faulty]: another run covers them on another server of the same bus.
	Faultless bool
}

// Harness is one broker for a test and the ways to reach it.
type Harness struct {
	// Open connects one more process to the broker. The suite closes what it opens.
	Open func(t testing.TB) bus.Bus
	// Kill ends a connection as the crash of its process does. Defaults to closing it.
	Kill func(t testing.TB, b bus.Bus)
	// Lapse makes a connection as that of a process that is paused: it stops renewing what it claimed while its calls
	// still reach the broker. nil leaves out the cases that need it.
	Lapse func(t testing.TB, b bus.Bus)
	// Cut breaks a connection, which the bus is to mend by itself. nil leaves out the cases that need it.
	Cut func(t testing.TB, b bus.Bus)
	// Fill makes the broker refuse to store more until free is called. nil leaves out the cases that need it.
	Fill func(t testing.TB) (free func())
	// Restart kills the broker's process, calls meanwhile, and starts it again on the same address and data; it returns
	// when the broker can be used. nil leaves out the cases that need it.
	Restart func(t testing.TB, meanwhile func())
	// Aged returns a broker, or another application on this one, that keeps entries of logs for as long as age. nil leaves
	// out the cases that need it.
	Aged func(t testing.TB, age time.Duration) Harness
	// Wipe makes the broker forget the log of a stream at once, as one does that has lost its data. Required in what Aged
	// returns.
	Wipe func(t testing.TB, id bus.StreamID)
}

// Run checks that the bus behind the harness keeps every promise of the port. It calls open once for the
// cases that share a broker, and again for each that fills or restarts its broker; what open starts is ended by its own
// t.Cleanup. Subtests run in parallel. The suite closes every bus it opens; that nothing runs on after
// that is for the caller's TestMain to check, with goleak.
func Run(t *testing.T, features Features, open func(t *testing.T) Harness) {
	t.Helper()

	features.Lease = cmp.Or(features.Lease, 300*time.Millisecond)
	features.LeaseSlack = cmp.Or(features.LeaseSlack, max(2*time.Second, 2*features.Lease))
	features.ExpirySlack = cmp.Or(features.ExpirySlack, 3*time.Second)
	features.Age = cmp.Or(features.Age, 2*time.Second)
	features.AgeSlack = cmp.Or(features.AgeSlack, time.Second)
	features.Letters = cmp.Or(features.Letters, 1000)
	s := &suite{features: features, Harness: open(t), begin: open}

	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, s)
		})
	}

	for _, c := range cases() {
		if !c.faults || features.Faultless {
			continue
		}

		t.Run("with faults/"+c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, s.faulty())
		})
	}
}

// promise is one promise. faults says that it holds behind [Faulty], too.
type promise struct {
	name   string
	run    func(*testing.T, *suite)
	faults bool
}

func cases() []promise {
	var all []promise

	for _, some := range [][]promise{
		infoCases(), connectionCases(), logCases(), frameCases(), fenceCases(), followCases(), signalCases(), readCases(), agingCases(),
		outcomeCases(), mailboxCases(), claimCases(), adoptCases(), backlogCases(), stressCases(), kvCases(), watchCases(),
		deadCases(), ageCases(),
		rpcCases(), rpcEndCases(), limitCases(), fullCases(), restartCases(), hostileCases(), closeCases(),
	} {
		all = append(all, some...)
	}

	return all
}
