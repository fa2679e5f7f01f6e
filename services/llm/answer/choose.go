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

	model, err := s.choose()
	if err != nil {
		return err
	}

	s.model = model

	return nil
}

// Mistakes in settings.
var (
	errProvider    = errors.New("use openai, anthropic, offline or auto")
	errTemperature = errors.New("-temperature: use a number from 0 to 2")
	errNegative    = errors.New("use a positive number")
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

	if s.MaxTokens < 0 {
		errs = append(errs, fmt.Errorf("-max-tokens: %w", errNegative))
	}

	if s.Pace < 0 {
		errs = append(errs, fmt.Errorf("-pace: %w", errNegative))
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

	switch s.Provider {
	case "openai":
		return s.openAI(openAIKey)
	case "anthropic":
		return s.anthropic(anthropicKey)
	case "offline":
		return s.offline(), nil
	case "", "auto":
	default:
		return nil, fmt.Errorf("-provider %q: %w", s.Provider, errProvider)
	}

	switch {
	case openAIKey != "" || s.BaseURL != "" || s.env("OPENAI_BASE_URL") != "":
		return s.openAI(openAIKey)
	case anthropicKey != "":
		return s.anthropic(anthropicKey)
	case s.Model != "":
		return nil, errModelAlone
	default:
		return s.offline(), nil
	}
}

func (s *Settings) offline() provider.Model { return offline.New(offline.Config{Pace: s.Pace}) }

func (s *Settings) openAI(key provider.Secret) (provider.Model, error) {
	base, err := s.baseURL("OPENAI_BASE_URL")
	if err != nil {
		return nil, err
	}

	if key == "" && base == "" {
		return nil, fmt.Errorf("-provider openai: %w %s (or %[2]s_FILE), or give -base-url", errNoKey, openai.KeyEnv)
	}

	return openai.New(openai.Config{Key: key, URL: base, Model: s.Model, Timeouts: s.Timeouts}), nil
}

func (s *Settings) anthropic(key provider.Secret) (provider.Model, error) {
	base, err := s.baseURL("ANTHROPIC_BASE_URL")
	if err != nil {
		return nil, err
	}

	if key == "" && base == "" {
		return nil, fmt.Errorf("-provider anthropic: %w %s (or %[2]s_FILE)", errNoKey, anthropic.KeyEnv)
	}

	return anthropic.New(anthropic.Config{Key: key, URL: base, Model: s.Model, Timeouts: s.Timeouts}), nil
}

// baseURL returns the configured address of the provider, or "".
func (s *Settings) baseURL(env string) (string, error) {
	where, text := "-base-url", s.BaseURL
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
