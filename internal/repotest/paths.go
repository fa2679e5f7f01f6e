package repotest

import (
	"bytes"
	"fmt"
	"iter"
	"strings"
)

// homes returns where people keep their files on the machines they use, in lower case. What is there on one machine is
// on no other.
func homes() []string { return []string{"/home/", "/root/", "/users/"} }

func machinePaths(files []*File) iter.Seq[Breach] {
	return func(yield func(Breach) bool) {
		for _, f := range files {
			if f.under("internal/repotest") {
				continue
			}
			text := string(bytes.ToLower(f.Text))
			for _, home := range homes() {
				at := indexToken(text, home)
				if at < 0 {
					continue
				}
				line := 1 + strings.Count(text[:at], "\n")
				if !yield(Breach{Path: f.Path, Line: line, Text: fmt.Sprintf("a path below %q is there on one machine only", home)}) {
					return
				}
			}
		}
	}
}

// indexToken returns the index of the first token in s, or -1. It begins where no word, file name or longer path does
// already.
func indexToken(s, token string) int {
	for from := 0; ; {
		i := strings.Index(s[from:], token)
		if i < 0 {
			return -1
		}
		if at := from + i; at == 0 || !inToken(s[at-1]) {
			return at
		}
		from += i + 1
	}
}

func inToken(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_' || b == '.' || b == '-'
}
