package affinity

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// Keys of the header of what instances say to each other.
const (
	// headerOffer names an offer; alone it asks for the offered claim.
	headerOffer = "Offer"
	// headerFrom is the instance that offers a claim.
	headerFrom = "From"
)

// endpoint is where an instance listens to the others of its component.
func endpoint(component, instance string) bus.Endpoint {
	return bus.Endpoint{Component: subjects.HandOver, Instance: subjects.Derive(component, instance)}
}

// offer is a claim that another instance may take, until it is withdrawn.
type offer struct {
	mu    sync.Mutex
	claim bus.Claim
	over  bool // taken or withdrawn
	given bool
}

// take gives the claim away, once.
func (o *offer) take() (*bus.Ticket, error) {
	o.mu.Lock()
	defer o.mu.Unlock()

	if o.over {
		return nil, errWithdrawn
	}

	o.over = true

	ticket, err := o.claim.Give()
	o.given = err == nil

	return ticket, err //nolint:wrapcheck // it says what it was doing
}

// withdraw ends the offer and reports whether the claim was given away.
func (o *offer) withdraw() bool {
	o.mu.Lock()
	defer o.mu.Unlock()

	o.over = true

	return o.given
}

// errWithdrawn: nobody offers the claim that was asked for, or nobody does any more.
var errWithdrawn = &bus.RemoteError{Code: "withdrawn", Text: "the mailbox is no longer offered"}

// offer offers a claim to another instance and reports whether that took it. After that this instance has nothing more to
// do with the claim.
func (b *Bus) offer(ctx context.Context, component, to string, c bus.Claim) bool {
	id, o := rand.Text(), &offer{claim: c}

	b.mu.Lock()
	b.offers[id] = o
	b.mu.Unlock()

	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()

		delete(b.offers, id)
	}()

	ctx, cancel := context.WithTimeout(ctx, b.cfg.Patience)
	defer cancel()

	question := &bus.Message{Header: map[string]string{headerOffer: id, headerFrom: b.cfg.Instance}}
	for _, err := range b.Call(ctx, endpoint(component, to), question) {
		if err != nil {
			b.cfg.Logger.Debug().Err(err).Str("component", component).Str("to", to).Msg("a mailbox was not taken over")
		}
	}

	return o.withdraw()
}

// answer answers another instance: one that offers a claim, or one that takes what this one offers.
func (b *Bus) answer(ctx context.Context, component string, m *bus.Message, reply func(*bus.Message) error) error {
	id, from := m.Header[headerOffer], m.Header[headerFrom]
	if from == "" {
		return b.give(id, reply)
	}

	adopted, err := b.Adopt(ctx, component, func(ctx context.Context) (*bus.Ticket, error) {
		return b.take(ctx, endpoint(component, from), id)
	})
	if err != nil {
		return fmt.Errorf("take mailbox over: %w", err)
	}

	if !adopted {
		return &bus.RemoteError{Code: "full", Text: "there is no room for a mailbox"}
	}

	return nil
}

// give answers with the ticket of an offer.
func (b *Bus) give(id string, reply func(*bus.Message) error) error {
	b.mu.Lock()
	o := b.offers[id]
	b.mu.Unlock()

	if o == nil {
		return errWithdrawn
	}

	ticket, err := o.take()
	if err != nil {
		return err
	}

	body, err := json.Marshal(ticket)
	if err != nil {
		return fmt.Errorf("encode ticket: %w", err)
	}

	return reply(&bus.Message{Body: body})
}

// errNoTicket: an instance answered with something else.
var errNoTicket = errors.New("no ticket came")

// take asks an instance for the claim that it offers.
func (b *Bus) take(ctx context.Context, from bus.Endpoint, id string) (*bus.Ticket, error) {
	var ticket *bus.Ticket

	for m, err := range b.Call(ctx, from, &bus.Message{Header: map[string]string{headerOffer: id}}) {
		if err != nil && ticket == nil {
			return nil, fmt.Errorf("ask for the mailbox: %w", err)
		}

		if err == nil {
			ticket = &bus.Ticket{}
			if err := json.Unmarshal(m.Body, ticket); err != nil {
				return nil, fmt.Errorf("decode ticket: %w", err)
			}
		}
	}

	if ticket == nil {
		return nil, errNoTicket
	}

	return ticket, nil
}
