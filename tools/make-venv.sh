#!/bin/sh
# Makes or updates the virtual environment: make-venv.sh DIRECTORY LOCK
# Installs the lock, what building needs, and the project itself, editable. Nothing unpinned.
set -eu
venv=$1
lock=$2

fits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
  if [ -n "${PYTHON:-}" ]; then
    fits "$PYTHON" && { echo "$PYTHON"; return; }
    echo "PYTHON=$PYTHON does not run, or is older than Python 3.11." >&2
    return 1
  fi
  # The versions that are tested come first.
  for candidate in python3.11 python3.12 python3.13 python3 python; do
    fits "$candidate" && { echo "$candidate"; return; }
  done
  echo "OpenSQT needs Python 3.11 or newer, and none was found on PATH." >&2
  echo "Install it (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.12)," >&2
  echo "or name it: make PYTHON=/path/to/python3.11 ..." >&2
  return 1
}

# An environment that was moved, or whose Python is gone, is made anew. So is one that somebody
# asks to be made with another Python.
place="$venv/.place"
here=$(pwd)
if [ ! -f "$place" ] && [ -d "$venv" ] && fits "$venv/bin/python"; then
  echo "$here" >"$place"
fi
if [ "$(cat "$place" 2>/dev/null)" != "$here" ] || ! fits "$venv/bin/python"; then
  python=$(find_python)
  echo "Making $venv with $("$python" --version) ..."
  if ! "$python" -m venv --clear "$venv"; then
    echo "The venv module of $python does not work. On Debian and Ubuntu: apt install python3-venv" >&2
    exit 1
  fi
  echo "$here" >"$place"
fi

rm -f "$venv"/.run-* "$venv"/.research-* "$venv"/.dev-*
echo "Installing $lock ..."
pip() { PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore "$venv/bin/python" -m pip "$@"; }
pip install --quiet --require-hashes -r "$lock"
pip install --quiet --require-hashes -r requirements/build.txt
pip install --quiet --no-build-isolation --no-deps -e .
