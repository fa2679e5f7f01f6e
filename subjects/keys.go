package subjects

import (
	"errors"
	"fmt"
	"strings"
)

// What the keys of the sessions' bucket begin with that are not a component's state, and those of the registry's that are
// not an instance's. No session or component has such an id, because ids that begin with '_' are reserved.
const (
	sessionRecords = "_session"
	published      = "_published"
	subscribers    = "_subscriber"
	served         = "_served"
	tried          = "_tried"
	breakers       = "_breaker"
	// noTenant stands for the tenant of sessions that have none.
	noTenant = "_"
	// noComponent stands for all components.
	noComponent = "_"
)

// InstanceKey returns the key of an instance in the registry: "<component>.<instance>".
func InstanceKey(component, instance string) (string, error) {
	return joined("component", component, "instance", instance)
}

// ParseInstanceKey is the way back from [InstanceKey]; it reports false for any other key.
func ParseInstanceKey(key string) (component, instance string, ok bool) {
	component, instance, ok = strings.Cut(key, ".")

	return component, instance, ok && ValidID(component) && ValidID(instance)
}

// BreakerKey returns the key in the registry of what an operator has said about the circuit breakers of a target, in the
// instances of a component, or of all components where it is "": "_breaker.<component>.<target>". The target may be any
// bytes but none; its place has what [Encode] makes of it, so it can't be read from the key in every case.
func BreakerKey(target, component string) (string, error) {
	if component == "" {
		component = noComponent
	} else if err := checkPlain("component", component); err != nil {
		return "", err
	}

	if target == "" {
		return "", fmt.Errorf("the target is empty: %w", ErrInvalid)
	}

	return breakers + "." + component + "." + Encode(target), nil
}

// BreakerPrefix is what all keys that [BreakerKey] returns begin with.
func BreakerPrefix() string { return breakers }

// checkPlain refuses what is no id, and reserved ones.
func checkPlain(what, id string) error {
	if Reserved(id) {
		return &InvalidIDError{What: what, ID: id}
	}

	return CheckID(what, id)
}

// IsBreakerKey reports whether a key may be one that [BreakerKey] returns. No key of an instance is one.
func IsBreakerKey(key string) bool {
	component, target, ok := strings.Cut(strings.TrimPrefix(key, breakers+"."), ".")

	return ok && strings.HasPrefix(key, breakers+".") && ValidID(component) && ValidID(target)
}

// SessionKey returns the key of a session's record: "_session.<tenant>.<session>", with the tenant that the id names.
func SessionKey(session string) (string, error) {
	if err := CheckID("session", session); err != nil {
		return "", err
	}
	tenant, _ := SplitTenant(session)

	return SessionPrefix(tenant) + "." + session, nil
}

// SessionPrefix returns what the keys of a tenant's session records begin with; "" is the sessions without a tenant.
func SessionPrefix(tenant string) string {
	if tenant == "" {
		tenant = noTenant
	}

	return sessionRecords + "." + tenant
}

// AllSessions is what the keys of all session records begin with.
func AllSessions() string { return sessionRecords }

// ParseSessionKey returns the session whose record a key holds; it reports false for any other key.
func ParseSessionKey(key string) (session string, ok bool) {
	_, session, _ = strings.Cut(strings.TrimPrefix(key, sessionRecords+"."), ".")
	again, err := SessionKey(session)

	return session, err == nil && again == key
}

// StateKey returns the key of a component's state in a session: "<session>.<component>".
func StateKey(session, component string) (string, error) {
	if Reserved(session) {
		return "", &InvalidIDError{What: "session", ID: session}
	}

	return joined("session", session, "component", component)
}

// ServedKey returns the key of which instance of a component served a session last: "<session>._served.<component>". It
// goes with the session's state.
func ServedKey(session, component string) (string, error) {
	if _, err := StateKey(session, component); err != nil {
		return "", err
	}

	return session + "." + served + "." + component, nil
}

// PublishedKey returns the key of what is known of a message that is published once in a session:
// "_published.<session>.<message>".
func PublishedKey(session, message string) (string, error) {
	key, err := joined("session", session, "message", message)

	return published + "." + key, err
}

// TriedKey returns the key of how often a message in a mailbox was tried: "_tried.<session>.<mailbox>.<message>".
func TriedKey(session, mailbox, message string) (string, error) {
	key, err := joined("session", session, "mailbox", mailbox)
	if err == nil {
		err = CheckID("message", message)
	}

	if err != nil {
		return "", err
	}

	return tried + "." + key + "." + message, nil
}

// SubscriberKey returns the key of how far a named subscriber is in a session's messages:
// "_subscriber.<session>.<name>".
func SubscriberKey(session, name string) (string, error) {
	key, err := joined("session", session, "subscriber", name)

	return subscribers + "." + key, err
}

func joined(what1, id1, what2, id2 string) (string, error) {
	if err := errors.Join(CheckID(what1, id1), CheckID(what2, id2)); err != nil {
		return "", err
	}

	return id1 + "." + id2, nil
}
