#!/bin/sh
# Builds Docker Compose from its Go module, where the machine has a Docker engine and Go but no Compose.
# Usage: install-compose.sh FILE. FILE then works as "docker-compose", without being installed as a plugin.
set -eu

version=v2.40.3
file=$1

mkdir -p "$(dirname "$file")"
file=$(cd "$(dirname "$file")" && pwd)/$(basename "$file")

# Its go.mod has replacements, which "go install" refuses, so it is built in its own folder.
source=$(go mod download -json "github.com/docker/compose/v2@$version" | sed -n 's/^.*"Dir": "\(.*\)",*$/\1/p')
cd "$source"
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X github.com/docker/compose/v2/internal.Version=$version" -o "$file" ./cmd
echo "built $file $version"
