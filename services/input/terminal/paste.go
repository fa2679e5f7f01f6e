package terminal

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// A terminal brackets what the user pastes with two escape sequences. The line editor would end the line at each line
// break in between; a paste of several lines shall be one prompt that can still be edited. So pasteReader replaces
// line breaks and tabs inside a paste by two characters that Unicode sets aside for the internal use of programs,
// screen shows these as a sign of one column each, and unmark turns them back when the line is done.
const (
	pasteStart = "\x1b[200~"
	pasteEnd   = "\x1b[201~"

	lineMark = '\uFDD0'
	tabMark  = '\uFDD1'

	lineSign = "↵"
	tabSign  = " "
)

// unmark turns an edited line into the text that was typed and pasted.
func unmark(line string) string {
	return strings.NewReplacer(string(lineMark), "\n", string(tabMark), "\t").Replace(line)
}

// screen shows the marks as signs. The line editor never splits a character over two writes.
type screen struct{ out io.Writer }

func (s screen) Write(p []byte) (int, error) {
	shown := bytes.ReplaceAll(p, []byte(string(lineMark)), []byte(lineSign))
	shown = bytes.ReplaceAll(shown, []byte(string(tabMark)), []byte(tabSign))

	if _, err := s.out.Write(shown); err != nil {
		return 0, err //nolint:wrapcheck // A writer passes on what the writer below says.
	}

	return len(p), nil
}

// maxSequence is the length in bytes at which an escape sequence that doesn't end is ended. The line editor waits for the
// end of one for ever, also when it has no more room for it; keys send at most a dozen bytes.
const maxSequence = 32

// pasteReader marks what is special inside pastes, ends escape sequences that don't, and passes on everything else as it
// is.
type pasteReader struct {
	in      io.Reader
	out     []byte // translated, not yet read
	inside  bool
	matched int  // how much of the next bracket has been seen
	cr      bool // the last byte inside was a CR: a LF that follows belongs to it
	escape  int  // length of the escape sequence under way outside; 0: none
}

// Read implements io.Reader.
func (r *pasteReader) Read(p []byte) (int, error) {
	var err error

	for len(r.out) == 0 && err == nil && len(p) > 0 {
		var n int

		raw := make([]byte, len(p))
		n, err = r.in.Read(raw)

		for _, b := range raw[:n] {
			r.step(b)
		}
	}

	n := copy(p, r.out)
	r.out = slices.Delete(r.out, 0, n)

	if len(r.out) > 0 {
		return n, nil // the reader below will repeat its error
	}

	return n, err //nolint:wrapcheck // A reader passes on what the reader below says, io.EOF above all.
}

func (r *pasteReader) step(b byte) {
	if r.inside {
		r.stepInside(b)

		return
	}

	r.out = append(r.out, b)
	if r.match(b, pasteStart) {
		r.inside, r.cr, r.escape = true, false, 0

		return
	}

	r.bound(b)
}

// bound ends an escape sequence that is too long for any key.
func (r *pasteReader) bound(b byte) {
	switch {
	case r.escape == 0 && b != '\x1b':
	case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', b == '~':
		r.escape = 0
	case r.escape == maxSequence:
		r.out, r.escape = append(r.out, '~'), 0
	default:
		r.escape++
	}
}

// stepInside holds back what may be the closing bracket until it is known to be none.
func (r *pasteReader) stepInside(b byte) {
	held := r.matched

	if r.match(b, pasteEnd) {
		r.out = append(r.out, pasteEnd...)
		r.inside = false

		return
	}

	if r.matched > held {
		return
	}

	for _, h := range []byte(pasteEnd[:held]) {
		r.mark(h)
	}

	if r.matched == 0 {
		r.mark(b)
	}
}

// match advances through a bracket by one byte and reports whether it is complete.
func (r *pasteReader) match(b byte, bracket string) bool {
	if b != bracket[r.matched] {
		r.matched = 0
	}

	if b == bracket[r.matched] {
		r.matched++
	}

	if r.matched < len(bracket) {
		return false
	}

	r.matched = 0

	return true
}

// mark appends one pasted byte. Control characters other than line breaks and tabs are dropped.
func (r *pasteReader) mark(b byte) {
	afterCR := r.cr
	r.cr = b == '\r'

	switch {
	case b == '\n' && afterCR:
	case b == '\n', b == '\r':
		r.out = utf8.AppendRune(r.out, lineMark)
	case b == '\t':
		r.out = utf8.AppendRune(r.out, tabMark)
	case b >= ' ' && b != 0x7f: //nolint:mnd // DEL
		r.out = append(r.out, b)
	}
}
