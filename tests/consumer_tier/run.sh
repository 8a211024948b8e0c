#!/bin/sh
# Puts the programs that read exported data sets beside the environment (.venv-consumers, once per requirements) and runs them.
set -eu
cd "$(dirname "$0")/../.."
folder=.venv-consumers
python=.venv/bin/python
requirements=tests/consumer_tier/requirements.txt

if ! cmp -s "$requirements" "$folder/.ready"; then
    echo "Installing TRL into $folder (once) ..."
    rm -rf "$folder"
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder" -r "$requirements"
    cp "$requirements" "$folder/.ready"
fi

export HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 TRL_EXPERIMENTAL_SILENCE=1
export PYTHONPATH="$folder"
"$python" -c "import trl" # without it the tests would be skipped
"$python" -m pytest -o filterwarnings=default -p no:cacheprovider tests/consumer_tier "$@"
