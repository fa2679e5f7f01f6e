package answer

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode"

	"github.com/woodwork-go/woodwork/services/llm/provider"
)

// errKey: what should be a key can't be one.
var errKey = errors.New("is not a key: it is empty or holds spaces or control characters")

// key reads the key in the environment variable name, or in the file that name_FILE names. There may be none.
func (s *Settings) key(name string) (provider.Secret, error) {
	if value := strings.TrimSpace(s.env(name)); value != "" {
		return checkKey(name, value)
	}

	path := s.env(name + "_FILE")
	if path == "" {
		return "", nil
	}

	data, err := os.ReadFile(path) //nolint:gosec // the user says which file
	if err != nil {
		return "", fmt.Errorf("%s_FILE: %w", name, err)
	}

	return checkKey("the content of "+name+"_FILE", strings.TrimSpace(string(data)))
}

func checkKey(where, value string) (provider.Secret, error) {
	odd := func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }
	if value == "" || strings.ContainsFunc(value, odd) {
		return "", fmt.Errorf("%s %w", where, errKey)
	}

	return provider.Secret(value), nil
}
