# Debian packages, for scripts that need a command which is missing; to be sourced.

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Runs an apt-get command, and once more with fresh package lists when it fails.
with_fresh_lists() {
    "$@" >&2 && return
    as_root apt-get update -qq >&2 && "$@" >&2
}

install_package() {
    if ! command -v apt-get > /dev/null; then
        echo "needs $1, and there is no apt-get to install it with" >&2
        return 1
    fi
    with_fresh_lists as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$1"
}
