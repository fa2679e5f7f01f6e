package anthropic

import (
	"regexp"
	"unicode"
	"unicode/utf8"

	"github.com/woodwork-go/woodwork/services/llm/provider"
)

// Continues implements [provider.Continuer]. The beginning of an answer goes to Anthropic as the last message, which
// only models up to version 4.5 accept, and only without white space at its end.
func (m *Model) Continues(req provider.Request) bool {
	model := req.Model
	if model == "" {
		model = m.target.Model
	}

	return continues(model, req.Begun)
}

func continues(model, begun string) bool {
	last, _ := utf8.DecodeLastRuneInString(begun)

	return acceptsBegun.MatchString(model) && begun != "" && !unicode.IsSpace(last) && utf8.ValidString(begun)
}

// acceptsBegun are the names of the models that go on behind a last message of the assistant. Newer ones refuse it, and
// of names that are not Anthropic's nothing is known.
var acceptsBegun = regexp.MustCompile(`^claude-(3-.*|(opus|sonnet|haiku)-4(-[0-5])?(-\d{8}|-latest)?)$`)
