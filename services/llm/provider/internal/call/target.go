package call

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/woodwork-go/woodwork/services/llm/provider"
)

// Target says who is asked; it makes the errors of one request.
type Target struct {
	// Provider, Model and URL name the other side; URL is the base URL.
	Provider string
	Model    string
	URL      string
	// KeyEnv is the environment variable the key comes from.
	KeyEnv string
	// Redact removes what must not show from messages: the key. It is a function, because a key in a field shows when the
	// struct around it is printed.
	Redact func(message string) string
}

// NewTarget returns the target that a provider's configuration names, with the provider's defaults for what it leaves
// open.
func NewTarget(name, keyEnv string, cfg provider.Config, url, model string) Target {
	return Target{
		Provider: name, Model: first(cfg.Model, model), URL: first(cfg.URL, url), KeyEnv: keyEnv, Redact: Redactor(cfg.Key),
	}
}

// Name returns "provider/model".
func (t Target) Name() string { return t.Provider + "/" + t.Model }

// For returns the target of one request, which may name another model.
func (t Target) For(req provider.Request) Target {
	t.Model = first(req.Model, t.Model)

	return t
}

// Base returns the URL as both clients want it.
func (t Target) Base() string { return strings.TrimRight(t.URL, "/") + "/" }

// Redactor returns a function that removes the key from messages.
func Redactor(key provider.Secret) func(message string) string {
	if key == "" {
		return func(message string) string { return message }
	}

	return func(message string) string { return strings.ReplaceAll(message, string(key), key.String()) }
}

// Reply is what a provider said of a failure.
type Reply struct {
	// Status is the HTTP status; 0 for an error event within a stream.
	Status int
	// Header is the reply's header, or nil.
	Header http.Header
	// Type and Code are the provider's words for the kind of failure.
	Type string
	Code string
	// Message is its sentence about it.
	Message string
}

// Failed returns the error for a refusal or an error event.
func (t Target) Failed(r Reply) *provider.Error {
	e := t.fail(kindOf(r), r.Message)
	e.Status = r.Status

	if e.Kind == provider.KindKey {
		e.Message = "" // providers repeat parts of the key here
	}

	if r.Header != nil {
		e.RetryAfter = RetryAfter(r.Header, time.Now())
		e.RequestID = t.clean(first(r.Header.Get("Request-Id"), r.Header.Get("X-Request-ID")))
	}

	return e
}

// Broken returns the error of a request that failed on its way: because the caller's ctx ended (then its cause is
// returned, wrapped by nothing), a [Watch] ended it, or the network failed. inner is the context that Start returned.
func (t Target) Broken(ctx, inner context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx) //nolint:wrapcheck // the caller's own reason
	}

	if timeout, ok := errors.AsType[*TimeoutError](context.Cause(inner)); ok {
		e := t.fail(provider.KindTimeout, timeout.Error())
		e.Err = timeout

		return e
	}

	if errors.Is(err, errHTML) {
		return t.fail(provider.KindProtocol, errHTML.Error())
	}

	e := t.fail(provider.KindConnection, reason(err))
	e.Err = bare(err)

	return e
}

// Malformed returns the error for an event that can't be read.
func (t Target) Malformed() *provider.Error {
	return t.fail(provider.KindProtocol, "an event of the stream is not what the provider's format allows")
}

// Cut returns the error for a stream that stopped without saying that it was at its end.
func (t Target) Cut() *provider.Error {
	return t.fail(provider.KindConnection, "the stream stopped without an end")
}

func (t Target) fail(kind provider.Kind, message string) *provider.Error {
	return &provider.Error{
		Provider: t.Provider, Model: t.Model, Kind: kind, Message: t.clean(message), Hint: t.hint(kind),
	}
}

func (t Target) hint(kind provider.Kind) string {
	switch kind {
	case provider.KindKey:
		return "set " + t.KeyEnv + " (or " + t.KeyEnv + "_FILE) to a key that is valid for " + t.URL
	case provider.KindModel:
		return "choose one that " + t.URL + " has, with --model"
	case provider.KindQuota:
		return "check the plan and billing of the account"
	case provider.KindTooLong:
		return "shorten the prompt, or lower --history-messages"
	case provider.KindConnection:
		return "is " + t.URL + " reachable from here?"
	case provider.KindTimeout:
		return "is " + t.URL + " in good health? --first-token-timeout, --idle-timeout and --total-timeout bound the wait"
	case provider.KindProtocol:
		return "is " + t.URL + " the right address?"
	case provider.KindRateLimited, provider.KindUnavailable:
		return "try again later"
	case provider.KindRejected, provider.KindNotAsked:
		return ""
	}

	return ""
}

const maxMessage = 300

// clean makes one line of a message, takes the key out and shortens it.
func (t Target) clean(message string) string {
	message = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(t.Redact(message), "?"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")

	if len(message) <= maxMessage {
		return message
	}

	end := maxMessage
	for !utf8.RuneStart(message[end]) {
		end--
	}

	return message[:end] + "…"
}

func kindOf(r Reply) provider.Kind {
	if k := kindOfWords(r); k != "" {
		return k
	}

	switch {
	case r.Status == http.StatusUnauthorized, r.Status == http.StatusForbidden:
		return provider.KindKey
	case r.Status == http.StatusPaymentRequired:
		return provider.KindQuota
	case r.Status == http.StatusNotFound:
		return provider.KindModel
	case r.Status == http.StatusTooManyRequests:
		return provider.KindRateLimited
	case r.Status == http.StatusRequestEntityTooLarge:
		return provider.KindTooLong
	case r.Status >= http.StatusInternalServerError, r.Status == http.StatusRequestTimeout, r.Status == http.StatusConflict:
		return provider.KindUnavailable
	default:
		return provider.KindRejected
	}
}

// kindOfWords recognises what the status doesn't tell: error events have none, and a status of 400 or 429 covers
// several kinds.
func kindOfWords(r Reply) provider.Kind {
	for _, word := range []string{r.Code, r.Type} {
		if k := kindOfWord(word); k != "" {
			return k
		}
	}

	text := strings.ToLower(r.Message)
	if strings.Contains(text, "context length") || strings.Contains(text, "prompt is too long") {
		return provider.KindTooLong
	}

	return ""
}

func kindOfWord(word string) provider.Kind {
	switch word {
	case "context_length_exceeded", "request_too_large":
		return provider.KindTooLong
	case "insufficient_quota", "billing_error", "billing_hard_limit_reached":
		return provider.KindQuota
	case "model_not_found", "not_found_error":
		return provider.KindModel
	case "invalid_api_key", "authentication_error", "permission_error":
		return provider.KindKey
	case "rate_limit_exceeded", "rate_limit_error":
		return provider.KindRateLimited
	case "overloaded_error", "api_error", "server_error", "timeout_error":
		return provider.KindUnavailable
	default:
		return ""
	}
}

// reason returns what a network error says without the URL, which the hint names.
func reason(err error) string {
	if err == nil {
		return ""
	}

	return bare(err).Error()
}

func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}

	return err
}

func first(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}

	return ""
}
