#!/bin/sh
# Runs the Bun that npm installed, so that a machine with only Node can run everything. It becomes that Bun (exec): a
# signal to this process is a signal to the program. Bun's npm package expects its install script to copy the binary;
# the binary itself ships in @oven/bun-*, so no install script is needed.
# STURDY_BUN names another binary: CI runs the suite on a second version.
root=$(dirname "$(dirname "$0")")
for bun in "$STURDY_BUN" "$root"/node_modules/@oven/*/bin/bun; do
  if [ -x "$bun" ]; then exec "$bun" "$@"; fi
done
echo "sturdy: no Bun found in node_modules/@oven. Run \`npm install\` first (with optional dependencies)." >&2
exit 1
