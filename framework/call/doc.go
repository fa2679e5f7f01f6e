// Package call is request and reply between components: a [Client] chooses an instance that is there, sends the request
// and waits for the reply, or for a stream of replies; a [Serve] answers.
//
// A call goes to a component or to whoever has a capability. Of the ready instances whose circuit breaker admits it, the
// less loaded of two drawn by chance gets it, or the session's own one where the request asks for that. An instance that
// has too much to do refuses at once, without having done anything; then another one is asked. A call whose instance
// died is sent again only if the request says that it is idempotent, and no more often than a budget allows. A call
// waits for no longer than its time-out, and for an instance that has left the registry not at all.
//
// Nothing is stored: a call that fails may have been served, unless its error says that nobody did.
//
// File map: request.go what is asked; client.go one call with its tries; attempt.go one try; choose.go which instance;
// budget.go how many tries; hedge.go a second try at the same time; stream.go many replies; server.go the other side;
// json.go typed calls; errors.go what can go wrong; trace.go spans.
package call
