package terminal

import "slices"

const historySize = 500

// history is what the arrow keys recall, oldest first: neither blank lines nor a line twice in a row. It implements
// the line editor's history and is used by one goroutine at a time. It lives as long as the process: prompts are
// private and are not written to a file.
type history struct{ lines []string }

// Add implements term.History.
func (h *history) Add(line string) {
	if blank(line) || len(h.lines) > 0 && h.At(0) == line {
		return
	}

	if len(h.lines) == historySize {
		h.lines = slices.Delete(h.lines, 0, 1)
	}

	h.lines = append(h.lines, line)
}

// Len implements term.History.
func (h *history) Len() int { return len(h.lines) }

// At implements term.History: 0 is the latest line.
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }
