// Package providertest is a provider of language models for tests: a real HTTP server that speaks the published stream
// formats of OpenAI and Anthropic, and misbehaves on request.
//
// A [Server] answers its first request by its first [Step], the second by the second, and all further ones by the last. A
// step writes to its [Conn] whatever bytes it likes, when it likes; a [Dialect] knows what the events of a provider look
// like.
//
// File map: server.go the server, steps and connections; dialect.go the two formats.
package providertest
