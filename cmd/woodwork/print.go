package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// tableGap is how many spaces stand between columns.
const tableGap = 2

func newTable(out io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(out, 0, 0, tableGap, ' ', 0)
}

// printFacts prints names and values below each other, without the values that are empty.
func printFacts(out io.Writer, facts [][2]string) error {
	w := newTable(out)

	for _, f := range facts {
		if f[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", f[0], f[1])
		}
	}

	return w.Flush()
}

func when(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func orDash(s string) string {
	if s == "" {
		return "-"
	}

	return s
}

func shorten(s string, limit int) string {
	if r := []rune(s); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}

	return s
}

// clean makes a text safe for one line of a terminal: what a provider or user said may hold control characters.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}

		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// cleanText is clean for a text of several lines.
func cleanText(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = clean(line)
	}

	return strings.Join(lines, "\n")
}
