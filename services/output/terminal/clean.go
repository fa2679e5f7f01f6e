package terminal

import (
	"slices"
	"unicode/utf8"
)

const (
	firstPicture  = '\u2400' // the visible picture of control character 0; the others follow
	deletePicture = '\u2421'
	del           = 0x7f
	lastC1        = 0x9f
)

// cleaner makes text harmless for a terminal: only line feeds and tabs keep their effect. Other control characters
// are shown as pictures, those above ASCII and bytes that are not UTF-8 as U+FFFD, and carriage returns are left out.
// A character may be spread over several calls.
type cleaner struct{ held []byte }

// append appends the harmless form of p to out and holds back a character that is not complete yet.
func (c *cleaner) append(out, p []byte) []byte {
	rest := slices.Concat(c.held, p)

	for len(rest) > 0 && utf8.FullRune(rest) {
		r, size := utf8.DecodeRune(rest)
		out = appendClean(out, r)
		rest = rest[size:]
	}

	c.held = append(c.held[:0], rest...)

	return out
}

// end appends what is held back to out: it will never be complete.
func (c *cleaner) end(out []byte) []byte {
	if len(c.held) > 0 {
		out = utf8.AppendRune(out, utf8.RuneError)
		c.held = c.held[:0]
	}

	return out
}

func appendClean(out []byte, r rune) []byte {
	switch {
	case r == '\n' || r == '\t':
	case r == '\r':
		return out
	case r < ' ':
		r += firstPicture
	case r == del:
		r = deletePicture
	case r > del && r <= lastC1:
		r = utf8.RuneError
	}

	return utf8.AppendRune(out, r)
}

// cleanLine returns a text in its harmless form on one line.
func cleanLine(text string) string {
	var c cleaner

	line := c.end(c.append(nil, []byte(text)))
	for i, b := range line {
		if b == '\n' || b == '\t' {
			line[i] = ' '
		}
	}

	return string(line)
}
