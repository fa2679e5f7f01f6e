// Package framework is what a service author uses: a [Service] with a [Handler], run by [Main].
//
// A user's words become the input stream of a turn. The framework delivers the turn to one instance of the component,
// at least once and in order within the session; the handler reads turn.Input chunk by chunk and sends chunks to
// turn.Output while the input may still be growing. What it sends is stored, fenced and visible to every reader at
// once. When the handler returns nil the output is ended and the turn is done; when the instance dies, another one
// executes the turn again and every reader is told what was superseded.
//
// Programs outside a pipeline use a [Client]: it posts turns and follows the answers of a session.
//
// File map: service.go and turn.go what a component is and sees; client.go the outside view, policy.go and dead.go parts of
// it; session.go a component's state in a session; calls.go requests to other components; presence.go and discover.go who
// is there, announce.go for the broker's tools, and backlog.go how far behind; obey.go what operators say about circuit
// breakers; config.go and flags*.go settings; main.go and run.go the life of a process; health.go and condition.go its
// health.
package framework
