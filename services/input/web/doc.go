// Package web takes prompts over HTTP and posts them as turns, and cancels turns.
//
// A prompt lives like this: POST /v1/sessions/{session}/turns brings it as the request's body. A body of known length
// is posted as one chunk once all of it is here. A body without one is a stream: its turn is posted with the first
// bytes, so that the component can begin, and the rest follows as it arrives; a body that breaks off ends the input as
// failed, with a reason, and nothing hangs. The answer is 202 with the turn's id and the address of its events, and it
// is sent after the bus stored all of the prompt.
//
// The query says how the turn meets the session's earlier ones: policy=queue (the default) waits for them,
// policy=interrupt cancels them, and policy=reject answers 409 while there is one that is not done.
//
// DELETE /v1/sessions/{session}/turns/{turn} cancels a turn, and DELETE /v1/sessions/{session}/turns every turn that was
// posted before; ?reason= is told to everyone who reads it. The answer is 202 after the bus stored the cancel: the turn
// ends a moment later. Cancelling a turn that is done, or that there never was, changes nothing and is answered alike.
//
// Other systems' session ids are welcome: they are encoded where they enter. A request with an Idempotency-Key can be
// repeated as often as needed; it posts one turn.
//
// File map: handler.go the request and its answer; cancel.go cancels; body.go reading bodies that may stop or go on for
// ever; errors.go which error is which status.
package web
