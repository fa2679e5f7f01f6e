// Package web lets HTTP clients read the answers of a session as server-sent events.
//
// An event lives like this: GET /v1/sessions/{session}/events opens a follower of the session for this client alone;
// each event of the follower is written as one event of the response, with its session cursor as id. A client whose
// connection broke repeats the request with the last id it saw (browsers do it by themselves) and gets exactly what
// comes after it. With ?from=now a client gets only what begins after its request, until it has an id to go on from;
// ?turn= selects the answers to one turn, and ends the response behind the first. A client that reads slowly holds up
// nothing but its own response; one that reads nothing any more, or left, is noticed and its follower closed. Leaving
// cancels nothing.
//
// Event types, each with a JSON object as data:
//
//	open        {"stream", "component", "turn", "root", "type"}   a stream for the user begins
//	chunk       {"stream", "index", "text"} or {…, "data"}        its next chunk; data (base64) holds what is not text
//	superseded  {"stream", "from"}                                chunks from this index on are replaced by what follows
//	end         {"stream", "state", "reason", "meta"}             the stream is completed, failed or cancelled
//	resync      {"reason"}                                        the id is not known any more: drop everything; the
//	                                                              session follows from its beginning
//
// Text is sent as text when the chunk's bytes are UTF-8 and else, as when a chunk ends within a character, as data, so
// that nothing is changed on the way. Comments keep the connection open when nothing happens.
//
// File map: handler.go requests; client.go one client's response; event.go events as text.
package web
