#!/bin/sh
# Installs the dependencies once per lock file, so that `npm start` and `npm test` alone work on a fresh checkout.
#
# Runs before node_modules exists, so it is plain sh. Two that run at once (a start beside a test) take turns: `npm ci`
# empties node_modules first, and two of them would empty it under each other. The mark is written last and removed
# first, so that an install cut short is never taken for a whole one.
set -eu
cd "$(dirname "$0")/.."

mark=node_modules/.installed
turn=.installing
wait_seconds_max=900

digest() {
  if command -v sha256sum >/dev/null 2>&1; then sha256sum; else shasum -a 256; fi | cut -c1-64
}
# The machine is part of it: a folder shared between two kinds of machine holds binaries for only one of them.
want=$({ cat package-lock.json package.json .npmrc; uname -sm; } | digest)
installed() { [ "$(cat "$mark" 2>/dev/null)" = "$want" ]; }

installed && exit 0

# mkdir succeeds for exactly one of many; its holder's number tells whether it died without giving the turn back.
waited=0
until mkdir "$turn" 2>/dev/null; do
  holder=$(cat "$turn/holder" 2>/dev/null || true)
  if [ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null; then
    # Only one of those who wait may take it away: the rename succeeds once.
    if mv "$turn" "$turn.$$" 2>/dev/null; then rm -rf "$turn.$$"; fi
    continue
  fi
  if [ "$waited" -ge "$wait_seconds_max" ]; then
    echo "Cannot install: another install has held $turn for $wait_seconds_max s; remove that folder if none runs" >&2
    exit 1
  fi
  sleep 1
  waited=$((waited + 1))
done
trap 'rm -rf "$turn"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
echo "$$" > "$turn/holder"

installed && exit 0
echo "Installing dependencies (once per lock file) …" >&2
rm -f "$mark"
npm ci --include=dev --include=optional --no-audit --no-fund --loglevel=error >&2
echo "$want" > "$mark"
