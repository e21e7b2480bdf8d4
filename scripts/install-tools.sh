#!/usr/bin/env bash
# Installs what the build, the demo and the tests need and what is missing. Debian 12; root, or sudo for Debian's packages.
#
#   scripts/install-tools.sh
#
# Debian packages: Kamailio, SIPp, tshark, freeDiameter, Python's venv. Into a folder of its own (TOLLKEEPER_TOOLS, or tollkeeper-tools in the user's
# cache): the Kinesis-compatible servers and the client that reads streams back, in the versions of tests/tools. A second
# run finds everything there and does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(kamailio kamailio-extra-modules kamailio-ims-modules sip-tester tshark python3 python3-venv openssl freediameterd freediameter-extensions)
commands=(kamailio sipp tshark python3 openssl freeDiameterd)
tools=${TOLLKEEPER_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/tollkeeper-tools}

run_as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

missing() {
    local command
    for command in "${commands[@]}"; do
        command -v "$command" >/dev/null || return 0
    done
    python3 -c 'import venv, ensurepip' 2>/dev/null || return 0
    # freeDiameter's dictionaries and its list of peers come in a package of their own.
    [ -e /usr/lib/freeDiameter/acl_wl.fdx ] || return 0
    # evapi and jansson come in the extra modules.
    ! ls /usr/lib/*/kamailio/modules/{evapi,ims_charging}.so >/dev/null 2>&1
}

if missing; then
    echo "installing: ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    run_as_root apt-get update -q
    # The packages start servers at boot; ours run on their own ports, so keep the services from starting.
    run_as_root env RUNLEVEL=1 apt-get install -y -q --no-install-recommends "${packages[@]}"
fi
command -v cargo >/dev/null || { echo "no Rust toolchain: install one (rustup), then run this again" >&2; exit 1; }
for command in node npm; do
    command -v "$command" >/dev/null || { echo "no $command: install Node.js 18 or later, then run this again" >&2; exit 1; }
done

# Each half has a stamp of what it was made from, written last: a half that was cut off is made again.
fresh() {
    [ "$(cat "$tools/$1.stamp" 2>/dev/null)" = "$2" ]
}

node_wanted=$(cat tests/tools/package.json tests/tools/package-lock.json tests/tools/.npmrc | sha256sum)
python_wanted=$(sha256sum <tests/tools/requirements.txt)
mkdir -p "$tools"
# Two runs at once wait for each other.
exec 9>"$tools/lock"
flock 9
if ! fresh node "$node_wanted"; then
    echo "installing Node.js packages into $tools"
    cp tests/tools/package.json tests/tools/package-lock.json tests/tools/.npmrc "$tools/"
    # Without scripts: leveldown brings its compiled part, and nothing here needs a compiler.
    (cd "$tools" && npm ci --ignore-scripts --loglevel=error)
    echo "$node_wanted" >"$tools/node.stamp"
fi
if ! fresh python "$python_wanted"; then
    echo "installing Python packages into $tools/python"
    rm -rf "$tools/python"
    python3 -m venv "$tools/python"
    "$tools/python/bin/pip" install --quiet --disable-pip-version-check --requirement tests/tools/requirements.txt
    echo "$python_wanted" >"$tools/python.stamp"
fi
