// Package answer is the llm component: it answers the prompts of a session with a language model, token by token.
//
// A turn's input is read to its end: it is the prompt. The session's history goes before it to the model that [Settings]
// chose, and each piece of the answer goes to the turn's output the moment it arrives. When the model is done, the
// output's final frame gets the facts (model, finish reason, tokens), the exchange joins the session's history, and the
// turn completes. A turn that is executed again, because an instance died, replaces its own exchange.
//
// When an instance died in the middle of an answer, the next one lets the model go on behind what readers have, where
// the model can do that: the offline one, and Anthropic's up to version 4.5. Such an answer says so in its final frame.
// Other models answer anew, and the new answer replaces the old one when its first piece comes.
//
// A turn that is cancelled closes the connection to the provider at once, also while it waits for another try. Readers
// keep what they have. The exchange is not remembered: whoever cancelled it took the prompt back.
//
// What fails before the first token is tried again by package provider. A provider that keeps failing is not asked for a
// while (its circuit breaker is open), and the fallback answers, if there is one. A provider that fails in the middle of
// an answer is followed by the fallback, too: the turn begins another attempt, in which the fallback answers anew, and
// its answer replaces what was there when its first piece comes. Once the fallback has a turn it keeps it. No answer is
// a mix of two models. Any failure that is left ends the output as failed: readers keep what they have and are told the
// reason.
//
// File map: settings.go what can be set; choose.go from settings to models; fallback.go
// whom to ask, and who is next; keys.go where keys come from; handler.go one
// turn; reply.go its answer on the way to the output; history.go what a session remembers; trace.go spans.
package answer
