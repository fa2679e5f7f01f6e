package answer

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/woodwork-go/woodwork/services/llm/provider"
	"github.com/woodwork-go/woodwork/services/llm/provider/anthropic"
	"github.com/woodwork-go/woodwork/services/llm/provider/offline"
	"github.com/woodwork-go/woodwork/services/llm/provider/openai"
)

// Check completes the settings from the environment and chooses the model. It reports everything that is wrong, and says
// what to write instead.
func (s *Settings) Check() error {
	if err := s.validate(); err != nil {
		return err
	}

	first, err1 := s.choose()
	second, err2 := s.fallback()

	if err := errors.Join(err1, err2); err != nil {
		return err
	}

	s.use(first, second)

	return nil
}

// Mistakes in settings.
var (
	errProvider    = errors.New("use openai, anthropic, offline or auto")
	errFallback    = errors.New("use openai, anthropic or offline")
	errTemperature = errors.New("-temperature: use a number from 0 to 2")
	errNegative    = errors.New("use a positive number")
	errFailures    = errors.New("-breaker-failures: use 1 or more, or -1 for never")
	errHistory     = fmt.Errorf("-history-bytes: use a number from 1 to %d", MaxHistoryBytes)
	errModelAlone  = errors.New("-model: nobody to ask for it; set OPENAI_API_KEY or ANTHROPIC_API_KEY, or give -base-url")
	errNoKey       = errors.New("no key: set")
	errURL         = errors.New("use an http or https URL without user and password, such as http://127.0.0.1:11434/v1")
)

func (s *Settings) validate() error {
	var errs []error

	if t := s.Temperature; t != nil && !(*t >= 0 && *t <= 2) {
		errs = append(errs, errTemperature)
	}

	for _, setting := range []struct {
		flag     string
		negative bool
	}{
		{"-max-tokens", s.MaxTokens < 0},
		{"-pace", s.Pace < 0},
		{"-breaker-recovery", s.Breaker.Recovery < 0},
		{"-breaker-successes", s.Breaker.Successes < 0},
		{"-breaker-probes", s.Breaker.Probes < 0},
	} {
		if setting.negative {
			errs = append(errs, fmt.Errorf("%s: %w", setting.flag, errNegative))
		}
	}

	if s.Breaker.Failures < -1 {
		errs = append(errs, errFailures)
	}

	if s.HistoryBytes < 0 || s.HistoryBytes > MaxHistoryBytes {
		errs = append(errs, errHistory)
	}

	return errors.Join(errs...)
}

// choose returns the model that the settings and the environment name.
func (s *Settings) choose() (provider.Model, error) {
	openAIKey, err1 := s.key(openai.KeyEnv)
	anthropicKey, err2 := s.key(anthropic.KeyEnv)

	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}

	from := source{flags: "-", model: s.Model, url: s.BaseURL}

	switch s.Provider {
	case openai.Name:
		return s.openAI(from, openAIKey)
	case anthropic.Name:
		return s.anthropic(from, anthropicKey)
	case offline.Name:
		return s.offline(), nil
	case "", "auto":
	default:
		return nil, fmt.Errorf("-provider %q: %w", s.Provider, errProvider)
	}

	switch {
	case openAIKey != "" || s.BaseURL != "" || s.env("OPENAI_BASE_URL") != "":
		return s.openAI(from, openAIKey)
	case anthropicKey != "":
		return s.anthropic(from, anthropicKey)
	case s.Model != "":
		return nil, errModelAlone
	default:
		return s.offline(), nil
	}
}

// fallbackKey is the environment variable with the key of the fallback.
const fallbackKey = "FALLBACK_API_KEY"

// fallback returns the model that answers while the first one can't; nil when there is none.
func (s *Settings) fallback() (provider.Model, error) {
	f := s.Fallback
	if f == (Fallback{}) {
		return nil, nil
	}

	own, err := s.key(fallbackKey)
	if err != nil {
		return nil, err
	}

	// key is that of the provider only where the provider itself gets it.
	key := func(name string) (provider.Secret, error) {
		if own != "" || f.BaseURL != "" {
			return own, nil
		}

		return s.key(name)
	}
	from := source{flags: "-fallback-", model: f.Model, url: f.BaseURL}

	switch f.Provider {
	case openai.Name, "":
		k, err := key(openai.KeyEnv)
		if err != nil {
			return nil, err
		}

		return s.openAI(from, k)
	case anthropic.Name:
		k, err := key(anthropic.KeyEnv)
		if err != nil {
			return nil, err
		}

		return s.anthropic(from, k)
	case offline.Name:
		return s.offline(), nil
	default:
		return nil, fmt.Errorf("-fallback-provider %q: %w", f.Provider, errFallback)
	}
}

// source is where a model comes from, and the beginning of the flags that say so.
type source struct{ flags, model, url string }

func (s *Settings) offline() provider.Model { return offline.New(offline.Config{Pace: s.Pace}) }

func (s *Settings) openAI(from source, key provider.Secret) (provider.Model, error) {
	base, err := s.baseURL(from, "OPENAI_BASE_URL")
	if err != nil {
		return nil, err
	}

	if key == "" && base == "" {
		return nil, fmt.Errorf("%sprovider openai: %w %s (or %[3]s_FILE), or give %[1]sbase-url", from.flags, errNoKey, openai.KeyEnv)
	}

	return openai.New(provider.Config{Key: key, URL: base, Model: from.model, Timeouts: s.Timeouts}), nil
}

func (s *Settings) anthropic(from source, key provider.Secret) (provider.Model, error) {
	base, err := s.baseURL(from, "ANTHROPIC_BASE_URL")
	if err != nil {
		return nil, err
	}

	if key == "" && base == "" {
		return nil, fmt.Errorf("%sprovider anthropic: %w %s (or %[3]s_FILE)", from.flags, errNoKey, anthropic.KeyEnv)
	}

	return anthropic.New(provider.Config{Key: key, URL: base, Model: from.model, Timeouts: s.Timeouts}), nil
}

// baseURL returns the configured address of the provider, or "".
func (s *Settings) baseURL(from source, env string) (string, error) {
	where, text := from.flags+"base-url", from.url
	if text == "" {
		where, text = env, s.env(env)
	}

	if text == "" {
		return "", nil
	}

	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("%s: %w", where, errURL) // without the text, which may hold a password
	}

	return strings.TrimRight(text, "/"), nil
}
