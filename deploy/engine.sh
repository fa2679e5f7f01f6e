#!/bin/sh
# Is there a container engine? Exits with 0 if so, whether or not it works, and with 1 and the reason if not.
set -eu

if ! command -v docker >/dev/null; then
	echo "there is no docker command"
	exit 1
fi

# Someone who names an engine means it to be there.
if [ -n "${DOCKER_HOST:-}" ] || [ -n "${DOCKER_CONTEXT:-}" ]; then
	exit 0
fi

endpoint=$(docker context inspect --format '{{.Endpoints.docker.Host}}')
case $endpoint in
unix://*)
	if [ ! -S "${endpoint#unix://}" ]; then
		echo "there is a docker command, but no engine at $endpoint"
		exit 1
	fi
	;;
esac
