package natsbus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// minAPILevel is that of nats-server 2.11, the first with a time to live per message.
const minAPILevel = 1

// hintPermissions is what to do about a permission that the server denies.
const hintPermissions = "grant this user the subjects of the application, $JS.API.>, $JS.ACK.>, $KV.> and its inbox prefix"

// checkError is a failed check of the server, with what to do about it.
type checkError struct {
	err  error
	hint string
}

// Error implements error.
func (e *checkError) Error() string { return e.err.Error() }

// Unwrap returns the reason.
func (e *checkError) Unwrap() error { return e.err }

// checkServer finds out whether the server has what is needed.
func (b *Bus) checkServer(ctx context.Context) error {
	account, err := b.account(ctx)
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled):
		return &checkError{err, "start the server with `nats-server -js`, or with a jetstream block in its configuration"}
	case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return &checkError{err, "enable JetStream for the account of these credentials"}
	case errors.Is(err, context.DeadlineExceeded) && b.refused.Load() != nil:
		return &checkError{err, hintPermissions}
	case err != nil:
		return fmt.Errorf("ask for JetStream: %w", err)
	case account.API.Level < minAPILevel:
		return &checkError{
			fmt.Errorf("nats-server %s has JetStream API level %d, %d is needed",
				b.nc.ConnectedServerVersion(), account.API.Level, minAPILevel),
			"use nats-server 2.11 or later",
		}
	}

	return b.checkStrict(ctx)
}

// account asks until there is an answer: a cluster that starts has no leader to give one.
func (b *Bus) account(ctx context.Context) (*jetstream.AccountInfo, error) {
	for attempt := 0; ; attempt++ {
		try, cancel := context.WithTimeout(ctx, apiTimeout)
		account, err := b.js.AccountInfo(try)
		cancel()
		if err == nil || !transient(err) || b.refused.Load() != nil {
			return account, err
		}
		if wait := b.pause(ctx, attempt); wait != nil {
			return nil, fmt.Errorf("%w: %w", wait, err)
		}
	}
}

// transient reports whether an error of the management API may be gone at the next try.
func transient(err error) bool {
	if ae, ok := errors.AsType[*jetstream.APIError](err); ok {
		return ae.Code >= 500 && ae.ErrorCode != codeInsufficient && ae.ErrorCode != codeStorageResources &&
			ae.ErrorCode != codeMemoryResources && ae.ErrorCode != codeInvalidConfig &&
			ae.ErrorCode != codeNotEnabled && ae.ErrorCode != codeNotEnabledForAccount
	}

	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) ||
		errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse) ||
		errors.Is(err, nats.ErrDisconnected) || errors.Is(err, nats.ErrReconnectBufExceeded)
}

// checkStrict warns when the server takes JSON that it doesn't understand: it then also takes an acknowledgement as a
// request, so that a publish whose reply subject is that of the API can purge a JetStream stream.
func (b *Bus) checkStrict(ctx context.Context) error {
	var got answer
	probe := []byte(`{"woodwork_probes_strict":true}`)
	err := b.api(ctx, "STREAM.NAMES", probe, &got)
	var ae *apiError
	switch {
	case err == nil:
		b.log.Warn().Msg("the server's jetstream block says strict: false; set it to true")
	case !errors.As(err, &ae) || ae.Code != codeInvalidJSON:
		return fmt.Errorf("probe the JetStream API: %w", err)
	}

	return nil
}
