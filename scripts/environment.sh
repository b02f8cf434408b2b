# Sourced by the other scripts: makes .venv with the tested set and puts it on the path. Usage: . environment.sh [EXTRAS]
# Works from any folder, twice in a row, and offline once the environment is complete.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

extras=${1:-}
python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Python 3.11 or newer is needed, but $python is $("$python" --version). Set PYTHON to another one." >&2
    exit 1
fi

# The stamp holds what was installed, so that a second run installs nothing and a changed requirement installs again.
stamp=.venv/installed.txt
wanted=$(cat constraints.txt pyproject.toml; echo "$root")
have=$(cat "$stamp" 2>/dev/null || true)
if [ ! -x .venv/bin/python ]; then
    "$python" -m venv .venv
    have=""
fi
. .venv/bin/activate
if [ "${have%%$'\n'extras:*}" != "$wanted" ] || { [ -n "$extras" ] && [[ "$have" != *"extras:$extras"* ]]; }; then
    rm -f "$stamp"
    # torch comes first and by itself: a plain "torch" in a later requirement is then satisfied.
    python -m pip install --quiet --disable-pip-version-check "$(grep '^torch==' constraints.txt)"
    python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".${extras:+[$extras]}"
    printf '%s\nextras:%s\n' "$wanted" "$extras" > "$stamp"
fi
