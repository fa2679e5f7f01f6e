// Llm answers prompts with a language model: of OpenAI and what is compatible with it, of Anthropic, or the offline one.
package main

import (
	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/services/llm/answer"
)

func main() {
	var s answer.Settings

	framework.Main(s.Service())
}
