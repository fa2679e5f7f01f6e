#!/bin/sh
# Makes sure that there is a redis-server for the tests: the one of the PATH, else one in bin/ of this repository.
#
# On Debian and its relatives the package redis-tools has the program, under the name of its database checker, and no
# daemon that would start by itself. As root it is installed with what it needs; others get the packages' files unpacked
# into bin/redis. On macOS it comes from Homebrew.
# Usage: install.sh, anywhere.
set -eu

cd "$(dirname "$0")/../.."
bin=$(pwd)/bin
own=$bin/redis-server

works() {
	"$1" --version 2>/dev/null | grep -q '^Redis server'
}

fail() {
	echo "no redis-server: $1" >&2
	echo "Install it and run this again: apt install redis-server, dnf install redis, apk add redis, pacman -S redis," >&2
	echo "brew install redis, or https://redis.io/docs/latest/operate/oss_and_stack/install/" >&2
	exit 1
}

as_root() {
	export DEBIAN_FRONTEND=noninteractive
	install="apt-get install -y --no-install-recommends redis-tools"
	$install || { apt-get update && $install; } || fail "apt-get can't install redis-tools"
	ln -sf "$(command -v redis-check-rdb)" "$own"
}

# as_user needs no rights: it keeps lists and packages of its own, and the libraries that are missing beside the program.
as_user() {
	rm -rf "$bin/redis"
	mkdir -p "$bin/redis/lists/partial" "$bin/redis/packages"
	apt="-q -o Dir::State::Lists=$bin/redis/lists -o Dir::Cache=$bin/redis -o Debug::NoLocking=1"
	# shellcheck disable=SC2086 # several options
	apt-get $apt update || fail "apt-get can't read the lists of packages"

	# shellcheck disable=SC2086
	needed=$(apt-cache $apt depends redis-tools | sed -n 's/^ *Depends: \([^<].*\)$/\1/p')
	missing=redis-tools
	for package in $needed; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
	done

	# shellcheck disable=SC2086
	(cd "$bin/redis/packages" && apt-get $apt download $missing) || fail "apt-get can't download $missing"
	for package in "$bin"/redis/packages/*.deb; do
		dpkg -x "$package" "$bin/redis"
	done

	libraries=$(find "$bin/redis" -name '*.so.*' -exec dirname {} + | sort -u | paste -sd: -)
	ln -sf redis-check-rdb "$bin/redis/usr/bin/redis-server"
	cat >"$own" <<-END
		#!/bin/sh
		LD_LIBRARY_PATH="$libraries" exec "$bin/redis/usr/bin/redis-server" "\$@"
	END
	chmod +x "$own"
}

if works "$own"; then
	exit 0
fi

rm -f "$own" # tests prefer it

if works redis-server; then
	exit 0
fi

echo "no redis-server here: installing one for the tests"
mkdir -p "$bin"

if command -v apt-get >/dev/null; then
	if [ "$(id -u)" = 0 ]; then as_root; else as_user; fi
elif command -v brew >/dev/null; then
	brew install redis || fail "brew can't install redis"
	own=$(brew --prefix redis)/bin/redis-server
	ln -sf "$own" "$bin/redis-server"
else
	fail "this system has neither apt-get nor brew"
fi

works "$own" || fail "what was installed as $own does not run"
echo "installed $("$own" --version)"
