// Package call holds what calls to all providers share: time-outs that close the connection, and the way from an HTTP
// status, a broken connection or an odd event to a [provider.Error].
//
// A provider makes a [Target], starts a [Watch] for each request, gives its client the Watch's middleware, reports each
// token to it, and asks the target for the error when something went wrong.
//
// File map: watch.go time-outs; target.go who is asked, and errors; relay.go
// the events of an answer; retryafter.go the wait a provider asks for; http.go the HTTP client.
package call
