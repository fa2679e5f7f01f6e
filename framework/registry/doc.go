// Package registry knows which instances of which components are there now, what they can do and how busy they are.
//
// A [Member] is one instance's own entry: a key in the bus's registry that expires unless it is refreshed by a
// heartbeat, so an instance that dies disappears by itself. A [Registry] is everybody's view: it watches those keys and
// keeps a copy, so finding an instance costs no round trip ([Registry.Find], [Registry.Choose]), and tells whoever asks
// of changes ([Registry.Events]).
//
// Nothing here compares the clocks of two machines. That an entry is too old only the bus decides, by its own clock; how
// long ago an instance was heard of is measured where it was heard. When the connection breaks, the copy stays as it is
// until a new watch has seen everything that is there, and only the difference is reported.
//
// What operators say about circuit breakers is in the registry as well ([Override]), so everybody who follows it knows.
//
// File map: instance.go and state.go what an entry says; member.go and claim.go keeping one's own; view.go the copy, a
// state machine without clock or bus; registry.go watching; events.go telling; find.go and choose.go asking; override.go
// what operators say, decide.go saying it.
package registry
