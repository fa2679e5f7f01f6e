// Package telemetry makes the spans of turns, streams, calls, models and requests with OpenTelemetry, and carries their
// W3C trace context from process to process. It is the only importer of OpenTelemetry.
//
// A trace lives like this. A request, or whoever posts a turn, begins it. The writer of the input stream has a span, and
// its context travels in the first frame of its attempt and in the turn's letter. The worker's span of the turn goes on
// from the letter, the span of each output stream from the turn's, and so on down the pipeline; a reader's span goes on
// from the attempt whose text it ended with. A later attempt of a turn or stream links to the attempt before, of which
// the log still has the context when its process is gone. There is one span for a stream and hop, none for a chunk.
//
// Everything is off until [FromEnv] finds that the environment switches it on. Then a nil [Tracer] is what there is: it
// makes nil spans, whose methods do nothing and allocate nothing. No content and no reason for people is ever recorded:
// spans are made of the typed facts that this package takes, and of nothing else.
//
// File map: env.go settings; open.go and export.go the way to a collector; propagate.go trace context; span.go what all
// spans share; stream.go, read.go, turn.go, call.go, model.go and request.go the kinds of spans; names.go attributes;
// log.go ids for log lines.
package telemetry
