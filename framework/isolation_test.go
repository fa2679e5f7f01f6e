package framework_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
	"github.com/woodwork-go/woodwork/framework/bus/redisbus"
)

// canary is part of everything that acme has, and of nothing else.
const canary = "only-acme-may-read-this"

// attempt is one way to reach what is another tenant's.
type attempt struct {
	// calls are what it uses, as TestNoCallIsForgotten names them.
	calls string
	try   func(i *intruder)
}

// attempts are all of them. The last ones take away what is the intruder's own.
func attempts() []attempt {
	return slices.Concat(clientAttempts(), deadAttempts(), callAttempts(), turnAttempts(), storeAttempts())
}

// TestTenantsAreApart: two tenants whose sessions have the same names work on one bus with the same services. With
// everything that acme's client was ever told, and with every name that could mean acme's sessions on the bus, each call
// is tried by beta's client. Nothing of acme's may reach it, and nothing of acme's may change.
func TestTenantsAreApart(t *testing.T) {
	t.Parallel()
	onEachBus(t, func(t *testing.T, open func() framework.Config) {
		h := newHouse(t, open)
		acme, beta := h.tenant("acme"), h.tenant("beta")

		for _, id := range []string{"B", "A"} {
			acme.settle(id, canary)
			acme.wait(id)
			beta.settle(id, "of beta")
		}

		i := &intruder{estate: beta, loot: acme, reach: "t--beta--"}
		i.tryAll(attempts(), func(session string) bool { return strings.HasPrefix(session, "t--acme--") })
		acme.goesOn("A")
	})
}

// tryAll makes the attempts one after the other, and checks after each that all is as it was in the other's sessions.
func (i *intruder) tryAll(attempts []attempt, theirs func(session string) bool) {
	i.t.Helper()

	before := i.stock(theirs)

	for _, a := range attempts {
		i.now, _, _ = strings.Cut(a.calls, " ")
		a.try(i)

		if diff := cmp.Diff(before, i.stock(theirs)); diff != "" {
			i.t.Fatalf("%s: the other's data changed (-before +after):\n%s", a.calls, diff)
		}
	}
}

// house is a bus with the components that all tenants use.
type house struct {
	t    *testing.T
	open func() framework.Config
	raw  bus.Bus // sees all
}

func newHouse(t *testing.T, open func() framework.Config) *house {
	t.Helper()

	h := &house{t: t, open: open, raw: rawBus(t, open())}
	landlord := open()
	landlord.Tenant = "landlord" // which is nothing to the turns of others

	serve(t, framework.Service{Name: "echo", Handler: work}, landlord)
	serve(t, framework.Service{Name: "tool", Calls: tools(connect(t, open()))}, open())

	return h
}

// work is what the component echo does: what its input says.
func work(ctx context.Context, turn *framework.Turn) error {
	said, err := turn.Input.ReadAll(ctx)
	if err != nil {
		return err
	}

	switch word, rest, _ := strings.Cut(string(said), " "); word {
	case "break":
		return framework.Terminate(errors.New("broken: " + rest))
	case "intrude":
		return intrude(ctx, turn, rest)
	default:
		keep := func(last *string) error { *last = string(said); return nil }

		return errors.Join(framework.UpdateState(ctx, turn.Session, keep), turn.Output.Send(ctx, said))
	}
}

// rawBus opens a bus that knows of no tenants.
func rawBus(t *testing.T, cfg framework.Config) bus.Bus {
	t.Helper()

	var (
		b   = cfg.Bus
		err error
	)

	switch {
	case b != nil:
		return b
	case cfg.InProcess != nil:
		b, err = natsbus.Open(t.Context(), natsbus.Config{InProcess: cfg.InProcess})
	default:
		b, err = redisbus.Open(t.Context(), redisbus.Config{URL: cfg.URL})
	}

	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = b.Close(context.WithoutCancel(t.Context())) })

	return b
}

func (h *house) must(err error) {
	h.t.Helper()

	if err != nil {
		h.t.Fatal(err)
	}
}
