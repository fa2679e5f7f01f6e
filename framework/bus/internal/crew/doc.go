// Package crew keeps the workers of a bus: a [Set] knows all calls of Work, so that the bus can end them, and a [Room]
// bounds how many mailboxes one of them has at once, those that it adopts included.
package crew
