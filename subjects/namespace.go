package subjects

import (
	"fmt"
	"strconv"
)

// Limits and defaults of a [Namespace].
const (
	// MaxSubject is the length in bytes that no subject exceeds.
	MaxSubject = 256
	// MaxApp is the greatest length of an application's name in bytes.
	MaxApp = 32
	// MaxShards is the greatest number of shards.
	MaxShards = 1024
	// DefaultApp is the application when none is named.
	DefaultApp = "default"
	// DefaultShards is the number of shards when none is given.
	DefaultShards = 4
)

// Namespace is one application in a broker: all names that belong to it, and to no other application. The zero value
// is that of [DefaultApp] with [DefaultShards]. It may be copied, compared and used concurrently.
//
// A namespace keeps users of one account apart only as far as they mean well: a tenant is an account.
type Namespace struct {
	app    string // "": DefaultApp
	shards int    // 0: DefaultShards
}

// New returns the namespace of an application whose chunks are spread over a number of shards. app is 1 to [MaxApp]
// lower-case letters, digits and '-', and defaults to [DefaultApp]. shards is 1 to [MaxShards] and defaults to
// [DefaultShards]; it decides where data is, so it is chosen once per deployment. Errors wrap [ErrInvalid].
func New(app string, shards int) (Namespace, error) {
	if app == "" {
		app = DefaultApp
	}
	if !validApp(app) {
		return Namespace{}, fmt.Errorf("application name %s: use 1 to %d lower-case letters, digits and '-': %w",
			quote(app), MaxApp, ErrInvalid)
	}
	if shards == 0 {
		shards = DefaultShards
	}
	if shards < 0 || shards > MaxShards {
		return Namespace{}, fmt.Errorf("%d shards: use 1 to %d: %w", shards, MaxShards, ErrInvalid)
	}

	return Namespace{app: app, shards: shards}, nil
}

// validApp excludes '_', which ends the application in the broker's names, and upper case, because those names become
// folders, also on file systems that ignore case.
func validApp(app string) bool {
	for i := range len(app) {
		if b := app[i]; !lowerOrDigit(b) && b != '-' {
			return false
		}
	}

	return app != "" && len(app) <= MaxApp
}

// App returns the application's name.
func (n Namespace) App() string {
	if n.app == "" {
		return DefaultApp
	}

	return n.app
}

// Shards returns the number of shards.
func (n Namespace) Shards() int {
	if n.shards == 0 {
		return DefaultShards
	}

	return n.shards
}

// Shard returns the shard of a session's streams, from 0 to Shards()-1. It never changes for a session while the number
// of shards stays.
func (n Namespace) Shard(session string) int {
	h := fnv1a(session)

	return int((h ^ h>>32) % uint64(n.Shards()))
}

// fnv1a is the 64-bit FNV-1a hash. Data is placed by it, so it is written out here rather than trusted to stay.
func fnv1a(s string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * prime
	}

	return h
}

// LogStream returns the name of the JetStream stream that stores a shard's frames, for a shard from 0 to Shards()-1.
func (n Namespace) LogStream(shard int) string { return n.name("LOG_" + strconv.Itoa(shard)) }

// TurnsStream returns the name of the JetStream stream that stores inboxes, the mailboxes' registers and commands.
func (n Namespace) TurnsStream() string { return n.name("TURNS") }

// DeadStream returns the name of the JetStream stream that stores the turns that were set aside.
func (n Namespace) DeadStream() string { return n.name("DEAD") }

// Bucket returns the broker's name of a key-value bucket. Any name will do; it is encoded where it is no id.
func (n Namespace) Bucket(name string) string { return n.name(Encode(name)) }

// Consumer returns the name of the durable consumer of [Namespace.TurnsStream] from which all instances of a component
// take mailboxes: the component's own, so that whoever scales by it can guess it. It is encoded where it is no id.
func (Namespace) Consumer(component string) string { return Encode(component) }

// name puts the application into a name of the broker. An application holds no '_', so no two applications share one.
func (n Namespace) name(of string) string { return "WW_" + n.App() + "_" + of }
