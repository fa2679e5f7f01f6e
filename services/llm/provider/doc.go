// Package provider asks a language model for an answer and hands it on piece by piece while it is being produced.
//
// A [Request] goes to a [Model]: one of the packages below this one, which speak to OpenAI and whatever is compatible
// with it, to Anthropic, or to nobody at all. The model calls emit with each piece of text as it arrives; while emit
// blocks, nothing more is read from the provider. At the end a [Result] says why the answer ended and what it cost. A
// failure is an [Error], whose kind says what happened and whose text says what to do about it. [WithRetry] tries again
// what failed before the first piece; after it there is no second try, because somebody has read the first one already.
// [WithBreaker] stops asking a provider that keeps failing.
// A [Continuer] can go on behind an answer that another process has begun.
//
// File map: model.go the interface and what goes in and out; errors.go failures; retry.go the second try; guard.go when
// not to ask; timeouts.go how long to wait; secret.go keys that can't be printed.
package provider
