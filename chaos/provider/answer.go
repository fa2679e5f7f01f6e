package provider

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// Answer returns the pieces in which the provider of a name answers a prompt. No piece of one provider's is a piece of
// another's.
func Answer(name, prompt string) []string {
	const least, spread = 12, 12
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(name + "\n" + prompt)) // a hash takes everything
	sum := hash.Sum64()
	pieces := make([]string, 0, least+spread)
	for i := range least + int(sum%spread) {
		pieces = append(pieces, fmt.Sprintf("%s.%x.%d ", strings.ToLower(name), sum, i))
	}

	return pieces
}
