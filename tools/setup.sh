# Sourced by demo.sh, test.sh and .ci/matrix: brings system libraries and a virtual environment where they are missing.
# PYTHON names the Python to use (default: python3).

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# What Qt and OpenGL need on a Debian or Ubuntu without a desktop; wheels do not bring these.
window_packages=(
    libgl1 libegl1 libgl1-mesa-dri libglib2.0-0 libfontconfig1 libdbus-1-3 libxkbcommon-x11-0
    libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0
    libxcb-shape0 libxcb-xfixes0 libxcb-xinerama0
)

say() { printf '%s\n' "$*" >&2; }

# Install those of the named Debian packages that are missing; elsewhere, leave the system as it is.
need_packages() {
    command -v apt-get >/dev/null || return 0
    local plan
    # A simulation also knows packages that newer releases renamed (libglib2.0-0t64), which dpkg-query does not.
    if plan=$(apt-get --simulate --no-upgrade --no-install-recommends install "$@" 2>/dev/null) &&
        ! grep -q '^Inst ' <<<"$plan"; then
        return 0
    fi
    if [ "$(id -u)" -ne 0 ]; then
        say "System packages are missing; if something fails, run: sudo apt-get install --no-install-recommends $*"
        return 0
    fi
    say "Installing system packages ..."
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-upgrade --no-install-recommends "$@" >/dev/null
}

# Chromium for the tests in a browser; without it they are skipped, and say so (Ubuntu's is a snap, which containers
# cannot run).
need_browser() {
    local name
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        ! command -v "$name" >/dev/null || return 0
    done
    (need_packages chromium fonts-dejavu-core) || say "Chromium cannot be installed: the tests in a browser are skipped."
}

# Make sure of a Python that can make virtual environments and is new enough.
need_python() {
    if [ -z "${PYTHON:-}" ]; then
        PYTHON=python3
        python3 -c 'import ensurepip, venv' 2>/dev/null || need_packages python3 python3-venv
    fi
    if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        say "napari-semclass needs Python 3.11 or newer; set PYTHON to one, as in: PYTHON=python3.12 bash $0"
        exit 2
    fi
}

# need_venv FOLDER: a virtual environment with a pip that works.
need_venv() {
    if ! "$1/bin/python" -m pip --version >/dev/null 2>&1; then
        say "Making a virtual environment in $1 ..."
        "$PYTHON" -m venv --clear "$1"
    fi
}

headless() { env -u DISPLAY -u WAYLAND_DISPLAY "$@"; }

# In a real window, on a screen of its own so that nothing pops up on the user's.
in_window() {
    if command -v xvfb-run >/dev/null; then
        headless xvfb-run --auto-servernum --server-args="-screen 0 1600x1200x24" "$@"
    else
        "$@"
    fi
}
