package redisbus

import (
	_ "embed"
)

// The sources of the scripts of reads, mailboxes, keys and dead letters. The first of each kind and clock.lua stand before the
// others.
var (
	//go:embed clock.lua
	clockLua string

	//go:embed read.lua
	readLua string

	//go:embed mailbox.lua
	mailboxLua string
	//go:embed mailbox_post.lua
	postLua string
	//go:embed mailbox_take.lua
	takeLua string
	//go:embed mailbox_next.lua
	nextLua string
	//go:embed mailbox_done.lua
	doneLua string
	//go:embed mailbox_release.lua
	releaseLua string
	//go:embed mailbox_renew.lua
	renewLua string
	//go:embed mailbox_backlog.lua
	backlogLua string

	//go:embed kv.lua
	kvLua string
	//go:embed kv_get.lua
	kvGetLua string
	//go:embed kv_set.lua
	kvSetLua string
	//go:embed kv_renew.lua
	kvRenewLua string
	//go:embed kv_delete.lua
	kvDeleteLua string
	//go:embed kv_list.lua
	kvListLua string
	//go:embed kv_expire.lua
	kvExpireLua string

	//go:embed dead.lua
	deadLua string
	//go:embed dead_bury.lua
	buryLua string
	//go:embed dead_list.lua
	deadListLua string
	//go:embed dead_get.lua
	deadGetLua string
	//go:embed dead_drop.lua
	dropLua string
)

// scripts are the steps that reads, mailboxes, keys and dead letters take.
type scripts struct {
	read                                              *script
	post, take, next, done, release, renew            *script
	backlog                                           *script
	kvGet, kvSet, kvRenew, kvDelete, kvList, kvExpire *script
	bury, deadList, deadGet, drop                     *script
}

func newScripts() scripts {
	box := func(name, source string) *script { return newScript(name, clockLua+mailboxLua+source) }
	kv := func(name, source string) *script { return newScript(name, clockLua+kvLua+source) }
	dead := func(name, source string) *script { return newScript(name, clockLua+deadLua+source) }

	return scripts{
		read: newScript("read", clockLua+readLua),
		post: box("post", postLua), take: box("take", takeLua), next: box("next", nextLua),
		done: box("done", doneLua), release: box("release", releaseLua), renew: box("renew", renewLua),
		backlog: box("backlog", backlogLua),
		kvGet:   kv("get key", kvGetLua), kvSet: kv("set key", kvSetLua),
		kvRenew: kv("renew key", kvRenewLua), kvDelete: kv("delete key", kvDeleteLua),
		kvList: kv("list keys", kvListLua), kvExpire: kv("expire keys", kvExpireLua),
		bury: dead("bury", buryLua), deadList: dead("list dead letters", deadListLua),
		deadGet: dead("get dead letter", deadGetLua), drop: dead("drop", dropLua),
	}
}
