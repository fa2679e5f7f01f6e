package subjects

// Names in Redis. What belongs to a session has its hash tag, so that it is in one slot of a cluster and one script can
// work on it. Channels are no keys; they have the tag to look alike.

// RedisLog returns the key of the Redis stream that stores a stream's frames. Like the other builders it returns an
// [*InvalidIDError] for a session, stream or component that is no id.
func (n Namespace) RedisLog(session, stream string) (string, error) {
	return n.redisStream(KindLog, session, stream)
}

// RedisHead returns the key of what a log's next append needs to know of its last entry, and of when entries were added.
func (n Namespace) RedisHead(session, stream string) (string, error) {
	return n.redisStream("head", session, stream)
}

// RedisLive returns the channel on which a stream's frames reach readers when they are stored.
func (n Namespace) RedisLive(session, stream string) (string, error) {
	return n.redisStream(KindLive, session, stream)
}

// RedisSignal returns the channel of hints about a stream, such as how far its reader is.
func (n Namespace) RedisSignal(session, stream string) (string, error) {
	return n.redisStream(KindSignal, session, stream)
}

// RedisCall returns the channel on which an instance of a component gets requests.
func (n Namespace) RedisCall(component, instance string) (string, error) {
	if err := CheckID("component", component); err != nil {
		return "", err
	}
	if err := CheckID("instance", instance); err != nil {
		return "", err
	}

	return redisRoot + n.App() + ":call:" + component + ":" + instance, nil
}

// RedisReplies returns the channel on which one process gets replies. process is random text that is an id.
func (n Namespace) RedisReplies(process string) (string, error) {
	if err := CheckID("process", process); err != nil {
		return "", err
	}

	return redisRoot + n.App() + ":replies:" + process, nil
}

// RedisLife returns the key of a random text that was made with the application's data and is lost with them.
func (n Namespace) RedisLife() string { return redisRoot + n.App() + ":life" }

const redisRoot = "ww:"

func (n Namespace) redisStream(kind Kind, session, stream string) (string, error) {
	if err := CheckID("session", session); err != nil {
		return "", err
	}
	if err := CheckID("stream", stream); err != nil {
		return "", err
	}

	return redisRoot + n.App() + ":" + string(kind) + ":{" + session + "}:" + stream, nil
}

// RedisMailboxes are the names of what the mailboxes of one component share. All keys of a component have its hash tag.
type RedisMailboxes struct {
	// Due is the key of the sessions whose mailboxes hold letters, by when they may be handed out.
	Due string
	// Claims is the key of who holds them.
	Claims string
	// Wake is the channel that tells workers that a mailbox became ready.
	Wake string
}

// RedisMailbox are the names of one mailbox.
type RedisMailbox struct {
	RedisMailboxes

	// Inbox is the key of the Redis stream that stores letters.
	Inbox string
	// Letters is the key of the letters' ids.
	Letters string
}

// RedisMailboxes returns the names of what the mailboxes of a component share.
func (n Namespace) RedisMailboxes(component string) (RedisMailboxes, error) {
	if err := CheckID("component", component); err != nil {
		return RedisMailboxes{}, err
	}

	return n.redisMailboxes(component), nil
}

// RedisMailbox returns the names of the mailbox of a component in a session.
func (n Namespace) RedisMailbox(component, session string) (RedisMailbox, error) {
	if err := CheckID("component", component); err != nil {
		return RedisMailbox{}, err
	}
	if err := CheckID("session", session); err != nil {
		return RedisMailbox{}, err
	}

	return RedisMailbox{
		RedisMailboxes: n.redisMailboxes(component),
		Inbox:          n.redisTagged(string(KindInbox), component) + ":" + session,
		Letters:        n.redisTagged("letters", component) + ":" + session,
	}, nil
}

func (n Namespace) redisMailboxes(component string) RedisMailboxes {
	return RedisMailboxes{
		Due:    n.redisTagged("due", component),
		Claims: n.redisTagged("claims", component),
		Wake:   n.redisTagged("wake", component),
	}
}

// RedisDead are the keys of the turns that were set aside, those of all components, which have one hash tag.
type RedisDead struct {
	// Letters is the key of the Redis stream that stores them.
	Letters string
	// Index is the key of their order by component.
	Index string
	// IDs is the key of what is kept already.
	IDs string
}

// RedisDead returns the keys of the turns that were set aside.
func (n Namespace) RedisDead() RedisDead {
	tag := string(KindDead)

	return RedisDead{
		Letters: n.redisTagged(tag, tag) + ":letters",
		Index:   n.redisTagged(tag, tag) + ":index",
		IDs:     n.redisTagged(tag, tag) + ":ids",
	}
}

// RedisBucket are the names of a key-value bucket, which have one hash tag.
type RedisBucket struct {
	// Values is the key of the values and their revisions.
	Values string
	// Keys is the key of the keys in order.
	Keys string
	// Expiry is the key of when keys expire.
	Expiry string
	// Revision is the key of the number of changes.
	Revision string
	// Changes is the channel of what changed.
	Changes string
}

// RedisBucket returns the names of a key-value bucket. Any name will do; it is encoded where it is no id.
func (n Namespace) RedisBucket(name string) RedisBucket {
	bucket := n.redisTagged("kv", Encode(name))

	return RedisBucket{
		Values: bucket + ":values", Keys: bucket + ":keys", Expiry: bucket + ":expiry", Revision: bucket + ":revision",
		Changes: bucket + ":changes",
	}
}

// redisTagged names something by an id that is its hash tag.
func (n Namespace) redisTagged(kind, id string) string {
	return redisRoot + n.App() + ":" + kind + ":{" + id + "}"
}
