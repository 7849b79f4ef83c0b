#!/bin/sh
# Compares api/proto with that of main: a change that breaks an existing client fails.
set -eu
: "${BUF:=buf}"

skip() { echo "buf breaking: SKIPPED, $1" >&2; exit 0; }

git rev-parse --git-dir >/dev/null 2>&1 || skip "this is not a git clone, so there is no main to compare with"

main=
for ref in refs/heads/main refs/remotes/origin/main; do
  if git rev-parse --verify --quiet "$ref^{commit}" >/dev/null; then main=$ref; break; fi
done
if [ -z "$main" ]; then
  echo "buf breaking: neither main nor origin/main is here; fetch it: git fetch origin main:main" >&2
  exit 1
fi
git cat-file -e "$main:api/proto" 2>/dev/null || skip "$main has no api/proto yet"

# Unpacked rather than cloned by buf: works for shallow clones and linked worktrees too.
before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
git archive "$main" api/proto | tar -x -C "$before"
cp buf.yaml "$before/"
"$BUF" breaking --against "$before"
