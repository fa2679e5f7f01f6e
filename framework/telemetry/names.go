package telemetry

import (
	"fmt"

	"go.opentelemetry.io/otel/attribute"
)

// scope names this library in its spans.
const scope = "github.com/woodwork-go/woodwork"

// The attributes of messaging spans, by OpenTelemetry's conventions.
const (
	keySystem       = attribute.Key("messaging.system")
	keyOperation    = attribute.Key("messaging.operation.name")
	keyOperationIs  = attribute.Key("messaging.operation.type")
	keyDestination  = attribute.Key("messaging.destination.name")
	keyGroup        = attribute.Key("messaging.consumer.group.name")
	keyMessage      = attribute.Key("messaging.message.id")
	keyConversation = attribute.Key("messaging.message.conversation_id")
	keyErrorType    = attribute.Key("error.type")
)

// The attributes that are Woodwork's own.
const (
	keyComponent  = attribute.Key("woodwork.component")
	keyStream     = attribute.Key("woodwork.stream")
	keyTurn       = attribute.Key("woodwork.turn")
	keyRoot       = attribute.Key("woodwork.root")
	keyAttempt    = attribute.Key("woodwork.attempt")
	keyDeliveries = attribute.Key("woodwork.deliveries")
	keyChunks     = attribute.Key("woodwork.chunks")
	keyOutcome    = attribute.Key("woodwork.outcome")
	keyFrom       = attribute.Key("woodwork.superseded_from")
	keyLink       = attribute.Key("woodwork.link")
)

// What a link leads to.
const (
	linkBefore  = "previous attempt"
	linkRequest = "request"
)

// The events of spans.
const (
	eventFirstChunk = "first chunk"
	eventSuperseded = "superseded"
	eventCancelled  = "cancelled"
	eventFailed     = "failed"
)

// errorOther is the error.type of an error that has no type of its own.
const errorOther = "_OTHER"

// errorType names the kind of an error without its text: the Go type of what caused it.
func errorType(err error) string {
	for {
		switch e := err.(type) { //nolint:errorlint // it walks the chain itself
		case interface{ Unwrap() error }:
			if inner := e.Unwrap(); inner != nil {
				err = inner

				continue
			}
		case interface{ Unwrap() []error }:
			if inner := e.Unwrap(); len(inner) > 0 {
				err = inner[0]

				continue
			}
		}

		break
	}

	name := fmt.Sprintf("%T", err)
	if name == "*errors.errorString" {
		return errorOther
	}

	return name
}
