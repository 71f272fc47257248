# Sourced by the scripts beside it; the current folder is the repository's.
# What people read goes to stderr: the stdout of `make chat` belongs to the chat.

say() { echo "sbi set-up: $*" >&2; }

die() {
    say "$1"
    shift
    for line in "$@"; do echo "  $line" >&2; done
    exit 1
}

is_root() { [ "$(id -u)" -eq 0 ]; }

# Root on Debian, Ubuntu or a relative of theirs: the one case in which set-up installs system packages.
can_install() { is_root && command -v apt-get >/dev/null && grep -Eqs '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release; }

# install_packages PACKAGE...: everything apt says goes to a file, so that a service which the packages start
# cannot hold the caller's pipe open.
install_packages() {
    log=$(mktemp)
    say "installing $*"
    if ! DEBIAN_FRONTEND=noninteractive sh -c 'apt-get update && apt-get install --yes --no-install-recommends "$@"' \
        apt "$@" </dev/null >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        die "apt-get could not install: $*" "What it said: $log"
    fi
    rm -f "$log"
}
