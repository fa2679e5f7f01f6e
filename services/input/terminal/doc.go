// Package terminal turns what a person types, or what another program pipes in, into prompts that are asked one after
// another.
//
// A prompt lives like this: [Open] looks at standard input and makes a [Source], an [Editor] on a terminal or [Lines]
// on a pipe; [Loop] takes the next prompt from it, hands it to an [AskFunc] that posts it and waits for its answer,
// and only then takes the next. So prompts keep their order, at most one is under way, and the end of the input is
// noticed after the last answer.
//
// File map: loop.go the loop and its errors; asker.go posting a prompt and waiting for its answer; open.go which
// source fits; lines.go prompts from a pipe; editor.go prompts from a terminal; paste.go pasted line breaks;
// history.go what the arrow keys recall.
package terminal
