#!/usr/bin/env bash
# Installs what the build, the demo and the tests need and what is missing. Debian 12; root, or sudo.
#
#   scripts/install-tools.sh
set -euo pipefail

packages=(kamailio kamailio-extra-modules sip-tester python3)
commands=(kamailio sipp python3)

run_as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

missing() {
    local command
    for command in "${commands[@]}"; do
        command -v "$command" >/dev/null || return 0
    done
    # evapi and jansson come in the extra modules.
    ! ls /usr/lib/*/kamailio/modules/evapi.so >/dev/null 2>&1
}

if missing; then
    echo "installing: ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    run_as_root apt-get update -q
    # The packages start a SIP server at boot; ours run on their own ports, so keep the service from starting.
    run_as_root env RUNLEVEL=1 apt-get install -y -q --no-install-recommends "${packages[@]}"
fi
command -v cargo >/dev/null || { echo "no Rust toolchain: install one (rustup), then run this again" >&2; exit 1; }
