// Package anthropic asks models of Anthropic through its messages interface.
//
// A request becomes one streaming message with the official client, whose own retries and environment variables are
// switched off. Text deltas are handed on as they arrive; thinking, pings and events of kinds that are yet to be invented
// are passed over. An answer is complete when the provider gave a reason for its end.
//
// File map: anthropic.go configuration and the stream; continue.go going on behind a beginning;
// errors.go from the client's errors to [provider.Error].
package anthropic
