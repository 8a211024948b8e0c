#!/bin/sh
# sh tests/beside.sh TIER MODULE ...: puts what tests/TIER/requirements.txt names beside the environment (.venv-TIER, once per
# requirements), and runs the tests of the tier with it. MODULE has to be there: without it the tests would be skipped.
set -eu
cd "$(dirname "$0")/.."
tier=$1 module=$2
shift 2
folder=.venv-$tier
python=.venv/bin/python
requirements=tests/${tier}_tier/requirements.txt

if ! cmp -s "$requirements" "$folder/.ready"; then
    echo "Installing what tests/${tier}_tier needs into $folder (once) ..."
    rm -rf "$folder"
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder" -r "$requirements"
    cp "$requirements" "$folder/.ready"
fi

export HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 TRL_EXPERIMENTAL_SILENCE=1
export PYTHONPATH="$folder"
"$python" -c "import $module"
"$python" -m pytest -o filterwarnings=default -p no:cacheprovider "tests/${tier}_tier" "$@"
