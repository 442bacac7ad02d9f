#!/usr/bin/env bash
# The wheel in empty environments: once with the core alone, once with every extra, run from a folder that has nothing to
# do with the repository. Needs some minutes and a package index.
#
#   tests/package/try_wheel.sh BUILDER PYTHON [--without-torch]
#
# BUILDER is a Python that has hatchling, PYTHON the one to try. --without-torch leaves torch out, for a machine that
# cannot hold it: then what computes a loss is not tried, and this says so.
set -euo pipefail
builder=$(realpath -s "$1") python=$2 torch=${3:-}
repository=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
export HOME=$work/home
unset "${!SUBRANDOM_@}" "${!XDG_@}" PYTHONPATH
mkdir -p "$HOME" "$work/elsewhere"

says() { echo "== $*"; }

(cd "$repository" && "$builder" -m hatchling build -t wheel -d "$work" >/dev/null 2>&1)
wheel=$(echo "$work"/*.whl)
says "$("$python" --version): $(basename "$wheel"), $(stat -c %s "$wheel") bytes"

# $1: a name, $2: the extra. Without torch pip is told every requirement but that.
environment() {
  "$python" -m venv "$work/$1"
  if [ -z "$torch" ]; then
    "$work/$1/bin/pip" install -q "$wheel$2"
  else
    "$work/$1/bin/pip" install -q --no-deps "$wheel"
    "$work/$1/bin/python" - "$2" <<'PYTHON' | xargs "$work/$1/bin/pip" install -q
import sys
from importlib.metadata import requires
from pip._vendor.packaging.requirements import Requirement
for text in requires("subrandom"):
    need = Requirement(text)
    extra = sys.argv[1].strip("[]")
    if need.name not in ("torch", "subrandom") and (not need.marker or need.marker.evaluate({"extra": extra})):
        print(f"{need.name}{need.specifier}")
PYTHON
  fi
  find "$work/$1/lib" -type f | sort >"$work/$1.before"
}

# $1: a name. Nothing that ran may have left a file among the packages, except compiled modules of other packages.
untouched() {
  find "$work/$1/lib" -type f | sort >"$work/$1.after"
  comm -13 "$work/$1.before" "$work/$1.after" | grep -v '__pycache__/.*\.pyc$' >"$work/$1.new" || true
  comm -13 "$work/$1.before" "$work/$1.after" | grep "/diag/" >>"$work/$1.new" || true
  [ ! -s "$work/$1.new" ] || { says "written among the packages:"; cat "$work/$1.new"; exit 1; }
}

fails_with() { # $1: what stderr must hold; then the command, which must exit with 2 and one line
  local expected=$1 code=0
  shift
  "$@" >/dev/null 2>"$work/stderr" || code=$?
  [ "$code" = 2 ] && [ "$(wc -l <"$work/stderr")" = 1 ] && grep -qF "$expected" "$work/stderr" || {
    says "expected '$expected' and exit 2, got $code:"; cat "$work/stderr"; exit 1; }
}

cd "$work/elsewhere"
small=(--batches 2 --batch-size 2 --seq-len 64)

says "the core alone"
environment core ""
bin=$work/core/bin
"$bin/python" -X importtime -c 'import diag; print("diag", diag.__version__)' 2>"$work/imports"
! grep -E "numpy|torch|streamlit" "$work/imports"
"$bin/subrandom" --version
"$bin/subrandom" --help >/dev/null
"$bin/subrandom" demo --json >demo.json
demo=$("$bin/python" -c 'import json; print(json.load(open("demo.json"))["dir"])')
case $demo in "$HOME"/*) ;; *) says "the demo went to $demo"; exit 1 ;; esac
"$bin/subrandom" shard "$demo/shards/stdlib-unk" --json | "$bin/python" -c 'import json, sys; print("shard:", json.load(sys.stdin)["status"])'
"$bin/python" -c 'import diag, sys; print("audit:", diag.audit_checkpoint(diag.open_checkpoint(sys.argv[1])).tie.status)' "$demo/checkpoints/h4a-random-head"
fails_with 'pip install "subrandom[app]"' "$bin/subrandom" app
fails_with 'pip install "subrandom[app]"' "$bin/subrandom" evidence search x
printf 'PAR1....PAR1' >table.parquet
fails_with 'pip install "subrandom[arrow]"' "$bin/subrandom" shard table.parquet
if [ -z "$torch" ]; then
  "$bin/subrandom" test --checkpoint "$demo/checkpoints/h4a-random-head" --shard "$demo/shards/stdlib" "${small[@]}" --json |
    "$bin/python" -c 'import json, sys; print("test:", json.load(sys.stdin)["conclusion"]["text"])'
else
  says "forward and test were not tried: no torch"
fi
untouched core

says "with every extra"
environment all "[all]"
bin=$work/all/bin
"$bin/subrandom" demo >/dev/null
"$bin/subrandom" shard "$demo/shards/stdlib" --json | "$bin/python" -c 'import json, sys; print("shard:", json.load(sys.stdin)["status"])'
if [ -z "$torch" ]; then
  "$bin/subrandom" test --checkpoint "$demo/checkpoints/h4a-random-head" --shard "$demo/shards/stdlib" "${small[@]}" --json >test.json
  "$bin/python" -c 'import json; print("test:", json.load(open("test.json"))["conclusion"]["text"])'
  "$bin/subrandom" report "$("$bin/python" -c 'import json; print(json.load(open("test.json"))["record"]["id"])')" | head -1
  "$bin/subrandom" evidence search H4A --json >/dev/null
fi
port=$("$bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$bin/subrandom" app --port "$port" >app.log 2>&1 &
server=$!
for _ in $(seq 60); do
  curl -fs "http://127.0.0.1:$port/_stcore/health" >health 2>/dev/null && break || sleep 1
done
[ "$(cat health)" = ok ] || { cat app.log; exit 1; }
cat app.log
curl -fs "http://127.0.0.1:$port/healthz"; echo
pgrep -P "$server" -f diag.jobs.worker >/dev/null || [ -n "$torch" ] || { says "the server has no worker"; exit 1; }
# A page is drawn when a browser connects; Streamlit's own test runner draws the same script.
"$bin/python" - "$demo" <<'PYTHON'
import sys
from diag.ui.shell import server
from pathlib import Path
from streamlit.testing.v1 import AppTest

page = AppTest.from_file(str(Path(server.__file__).with_name("main.py")), default_timeout=60)
page.query_params["shard"] = "demo/shards/stdlib"
page.run()
assert not page.exception, page.exception
print("page:", len(page.main), "elements, no exception")
PYTHON
kill "$server"; wait "$server" 2>/dev/null || true
untouched all
says "$("$python" --version): all of it worked"
