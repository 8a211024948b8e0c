#!/bin/sh
# Looks at pages of `openr-data view` in a real browser: makes .venv-view (once per requirements), installs Debian's chromium where
# it is missing and may be installed, and runs the tests. Without a browser it says so in one sentence and fails.
set -eu
cd "$(dirname "$0")/../.."
venv=.venv-view
ready=$venv/.ready
main=.venv/bin/python

if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        echo "Installing chromium and chromium-driver ..."
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null
    else
        echo "error: the view tier needs chromium and chromedriver; install them (Debian: apt-get install chromium chromium-driver)"
        exit 1
    fi
fi

if ! cmp -s tests/view_tier/requirements.txt "$ready"; then
    echo "Installing selenium into $venv (once) ..."
    "${PYTHON:-python3}" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r tests/view_tier/requirements.txt
    cp tests/view_tier/requirements.txt "$ready"
fi

pages=$(mktemp -d)
trap 'rm -rf "$pages"' EXIT
HF_HUB_OFFLINE=1 PYTHONPATH=tests "$main" tests/view_tier/make_pages.py "$pages"
OPENR_VIEW_PAGES=$pages "$venv/bin/python" -m pytest -q -p no:cacheprovider -c tests/view_tier/pytest.ini tests/view_tier "$@"
