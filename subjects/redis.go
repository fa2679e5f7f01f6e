package subjects

// Names in Redis. What belongs to a session has its hash tag, so that it is in one slot of a cluster and one script can
// work on it. Channels are no keys; they have the tag to look alike.

// RedisLog returns the key of the Redis stream that stores a stream's frames. Like the other builders it returns an
// [*InvalidIDError] for a session, stream or component that is no id.
func (n Namespace) RedisLog(session, stream string) (string, error) {
	return n.redisStream(KindLog, session, stream)
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
