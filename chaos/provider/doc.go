// Package provider is a language model's provider that goes down and comes back as it is told.
//
// A [Server] speaks the format of a real provider over HTTP. Its answer follows from the prompt and from its own name, piece
// by piece, so whoever sees an answer knows who gave it, and whether it is whole. While it is down it fails in one of the
// ways in which providers do; its address stays the same.
//
// File map: server.go the server, up and down; answer.go what it answers; ask.go what it is asked; spell.go when it is down.
package provider
