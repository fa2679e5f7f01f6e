package answer

import (
	"context"
	"errors"
	"flag"
	"os"
	"strconv"
	"time"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/services/llm/provider"
)

// Name is the component's name.
const Name = "llm"

// Settings say which model answers, and how. The zero value works: call Check, then Service. They must not change after
// Check.
type Settings struct {
	// Env reads the environment, for keys and for addresses of providers. Defaults to [os.Getenv].
	Env func(name string) string

	// Provider is "openai", "anthropic", "offline", or "auto": OpenAI when it has a key or an address, else Anthropic when
	// it has a key, else the offline model. Defaults to "auto".
	Provider string
	// Model is the provider's name of the model. Defaults to a small current one of the provider.
	Model string
	// BaseURL is where the provider is. Defaults to OPENAI_BASE_URL or ANTHROPIC_BASE_URL, else to the provider's own.
	BaseURL string
	// System is the instruction before each conversation. Defaults to none.
	System string
	// Temperature is from 0 to 2. Defaults to the provider's choice.
	Temperature *float64
	// MaxTokens bounds an answer. Defaults to the provider's choice.
	MaxTokens int
	// Pace is the offline model's wait before each word. Defaults to none; the flag's default is [DefaultPace].
	Pace time.Duration
	// Timeouts bounds the waits for a provider.
	Timeouts provider.Timeouts
	// Retry says how patiently failed requests are repeated. OnRetry is not used. Its Attempts default to 2 where there is
	// a Fallback.
	Retry provider.Retry
	// HistoryMessages is how many messages of a session are remembered, both sides counted. Defaults to 40; -1 remembers
	// none.
	HistoryMessages int
	// HistoryBytes is how many bytes the remembered messages may take when they are stored as JSON, at most
	// [MaxHistoryBytes]. Defaults to 128 KiB.
	HistoryBytes int

	// Fallback is asked while the provider can't answer, also for the rest of a session. Defaults to nobody.
	Fallback Fallback
	// Breaker says when a provider that keeps failing is not asked any more, so that answers don't wait for it. Its
	// Timeout is not used. Defaults to the values of breaker.Config.
	Breaker breaker.Config

	backends []backend // whom to ask, in this order
	breakers *breaker.Set
}

// Fallback says which model answers while the first one can't. Each provider has a circuit breaker of its own.
type Fallback struct {
	// Provider is "openai", "anthropic" or "offline". Defaults to none; to OpenAI where Model or BaseURL is set.
	Provider string
	// Model is the provider's name of the model. Defaults to a small current one of the provider.
	Model string
	// BaseURL is where the provider is. It gets the key in FALLBACK_API_KEY or none. Defaults to the provider's own
	// address, or that in the environment, which gets the provider's key unless FALLBACK_API_KEY is set.
	BaseURL string
}

// Defaults and bounds of [Settings].
const (
	DefaultPace            = 30 * time.Millisecond
	DefaultHistoryMessages = 40
	DefaultHistoryBytes    = 128 << 10
	// MaxHistoryBytes leaves room in a bus's largest value, which is a megabyte by default.
	MaxHistoryBytes = 512 << 10
)

// Register adds the flags that fill s.
func (s *Settings) Register(fs *flag.FlagSet) {
	fs.StringVar(&s.Provider, "provider", "auto",
		"who answers: openai, anthropic, offline, or auto: who there is a key for, else offline")
	fs.StringVar(&s.Model, "model", "", "the provider's `name` of the model (default: a small current one)")
	fs.StringVar(&s.BaseURL, "base-url", "", "`URL` of a server that is compatible with the provider, e.g. "+
		"http://127.0.0.1:11434/v1 for Ollama (OPENAI_BASE_URL, ANTHROPIC_BASE_URL)")
	fs.StringVar(&s.System, "system", "", "`instruction` before each conversation")
	fs.Var(optional{&s.Temperature}, "temperature", "how freely the model chooses words, `0 to 2` (default: the provider's)")
	fs.IntVar(&s.MaxTokens, "max-tokens", 0, "most tokens of an answer (default: the provider's choice)")
	fs.DurationVar(&s.Pace, "pace", DefaultPace, "wait of the offline model before each word")
	fs.DurationVar(&s.Timeouts.FirstToken, "first-token-timeout", provider.DefaultFirstToken,
		"longest wait for the first token; -1s: no bound")
	fs.DurationVar(&s.Timeouts.Idle, "idle-timeout", provider.DefaultIdle,
		"longest silence of a provider within an answer; -1s: no bound")
	fs.DurationVar(&s.Timeouts.Total, "total-timeout", provider.DefaultTotal, "longest time for an answer; -1s: no bound")
	fs.StringVar(&s.Fallback.Provider, "fallback-provider", "", "`who` answers while the provider can't: openai, anthropic, offline")
	fs.StringVar(&s.Fallback.Model, "fallback-model", "", "its `name` of the model")
	fs.StringVar(&s.Fallback.BaseURL, "fallback-base-url", "", "`URL` of its interface; its key is in FALLBACK_API_KEY")
	fs.IntVar(&s.Breaker.Failures, "breaker-failures", 0, "failures in a row that stop asking a provider (default 5; -1: never)")
	fs.DurationVar(&s.Breaker.Recovery, "breaker-recovery", 0, "how long it is not asked then (default 1m)")
	fs.IntVar(&s.Breaker.Successes, "breaker-successes", 0, "answers in a row after which it is asked as before (default 3)")
	fs.IntVar(&s.Breaker.Probes, "breaker-probes", 0, "how many requests at once try then whether it answers again (default 1)")
	fs.IntVar(&s.HistoryMessages, "history-messages", DefaultHistoryMessages, "messages of a session to remember; -1: none")
	fs.IntVar(&s.HistoryBytes, "history-bytes", DefaultHistoryBytes, "bytes of a session's messages to remember")
}

// Name says who answers, as "provider/model", after a successful Check.
func (s *Settings) Name() string { return s.backends[0].model.Name() }

// Service returns the component, after a successful Check of s, which may also be left to [framework.Main].
func (s *Settings) Service() framework.Service {
	return framework.Service{
		Name: Name, Flags: s.Register, Check: s.Check,
		Setup:    s.announce,
		Handler:  s.handle,
		Breakers: s.Breakers,
		OnCrash:  stream.Resume, // the handler starts over where its model can't go on
	}
}

// announce says in the log who answers.
func (s *Settings) announce(_ context.Context, c *framework.Client) error {
	log := c.Log()

	who := log.Info().Str("model", s.Name())
	if len(s.backends) > 1 {
		who = who.Str("fallback", s.backends[1].model.Name())
	}

	who.Msg("ready to answer")

	return nil
}

func (s *Settings) env(name string) string {
	if s.Env == nil {
		return os.Getenv(name)
	}

	return s.Env(name)
}

// optional is a flag for a number that may be missing.
type optional struct{ target **float64 }

// errNotANumber: the text of a flag is not a number; package flag adds which.
var errNotANumber = errors.New("not a number")

// String implements [flag.Value].
func (o optional) String() string {
	if o.target == nil || *o.target == nil {
		return ""
	}

	return strconv.FormatFloat(**o.target, 'g', -1, 64)
}

// Set implements [flag.Value].
func (o optional) Set(text string) error {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return errNotANumber
	}

	*o.target = &n

	return nil
}
