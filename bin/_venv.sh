# Sourced by the commands: makes .venv with Python 3.11 or newer, and installs what the locks name when they have changed.

_python() {
    local name
    for name in python3.11 python3.12 python3.13 python3; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "Python 3.11 or newer is needed, and not found on the PATH." >&2
    return 1
}

# Stamps keep the hash of each lock that is installed.
_stamp() { echo ".venv/.installed-${1//\//-}"; }
_installed() { [ "$(cat "$(_stamp "$1")" 2>/dev/null)" = "$(cksum <"$1")" ]; }
_note_installed() { cksum <"$1" >"$(_stamp "$1")"; }

# prepare_venv LOCK...: what requirements-dev.lock names includes what the others do.
prepare_venv() {
    local python lock wanted=()
    if [ ! -x .venv/bin/python ]; then
        python=$(_python) || return 1
        echo "Making .venv with $("$python" --version) ..."
        if ! "$python" -m venv .venv; then
            rm -rf .venv
            echo "Could not make .venv. On Debian: apt-get install python3-venv" >&2
            return 1
        fi
    fi
    for lock in "$@"; do _installed "$lock" || wanted+=(-r "$lock"); done
    [ ${#wanted[@]} -eq 0 ] && return
    echo "Installing what ${wanted[*]//-r/} names; the first time takes a minute or so ..."
    .venv/bin/python -m pip install --disable-pip-version-check --progress-bar off --require-hashes "${wanted[@]}" |
        grep --line-buffered -v -e "already satisfied" -e "Using cached" -e "  Downloading" -e "WARNING: Location"
    [ "${PIPESTATUS[0]}" -eq 0 ] || return 1
    case " $* " in *" requirements-dev.lock "*) set -- requirements-dev.lock requirements.lock stripe_sandbox/requirements.lock ;; esac
    for lock in "$@"; do _note_installed "$lock"; done
}
