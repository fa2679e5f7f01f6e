package provider

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// asked is the part of a request that both formats share.
type asked struct {
	Messages []struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	} `json:"messages"`
}

// prompt reads the last message of a request, which is a text in OpenAI's format and blocks of text in Anthropic's.
func prompt(body io.Reader) (string, error) {
	var a asked
	if err := json.NewDecoder(body).Decode(&a); err != nil {
		return "", fmt.Errorf("read request: %w", err)
	}
	if len(a.Messages) == 0 {
		return "", errNoPrompt
	}
	content := a.Messages[len(a.Messages)-1].Content
	var text string
	if json.Unmarshal(content, &text) == nil {
		return text, nil
	}
	var blocks []struct {
		Text string `json:"text"`
	}
	if err := json.Unmarshal(content, &blocks); err != nil {
		return "", fmt.Errorf("read message: %w", err)
	}
	var whole strings.Builder
	for _, b := range blocks {
		whole.WriteString(b.Text)
	}

	return whole.String(), nil
}
