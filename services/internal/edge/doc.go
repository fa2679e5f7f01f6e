// Package edge holds what the HTTP edges of Woodwork share: a server that ends with its context, answers for errors,
// and permission for pages of other origins.
//
// A request lives like this: [Serve] accepts it with limits on its head and on the time that the head takes, [Routes]
// adds the health check and the permission, and the handler answers, with [WriteError] when it can't.
//
// File map: serve.go the server; routes.go what surrounds the handlers; answer.go JSON answers.
package edge
