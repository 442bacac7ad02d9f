#!/usr/bin/env bash
# What action.yml runs: tests CHECKPOINT on SHARD, prints annotations, appends the report to the step's summary, leaves it
# as a file for a comment, and ends with the code of the test: 0 passed, 1 failed the gate, 2 cannot be used.
# REFERENCE, ARGUMENTS and EVIDENCE may be empty. PYTHON names another interpreter.
set -u
python=${PYTHON:-python}
evidence=${EVIDENCE:-$(mktemp -d)}
comment=$evidence/comment.md
options=(--checkpoint "$CHECKPOINT" --shard "$SHARD" --evidence "$evidence")
[ -n "${REFERENCE:-}" ] && options+=(--reference "$REFERENCE")
read -r -a more <<<"${ARGUMENTS:-}"

mkdir -p "$evidence"
touch "$evidence/.before"
"$python" -m diag test "${options[@]}" ${more[@]+"${more[@]}"} --gate --format github
code=$?

# The record of this run, or none where it did not come so far.
record=$(find "$evidence/records" -name '*.json' -newer "$evidence/.before" 2>/dev/null | head -n 1)
rm -f "$evidence/.before"
if [ -n "$record" ]; then
  id=$(basename "$record" .json)
  "$python" -m diag report "$id" --evidence "$evidence" --format md --out "$comment" || exit 2
  cat "$comment" >>"${GITHUB_STEP_SUMMARY:-/dev/stdout}"
  conclusion=$("$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["result"]["conclusion"]["kind"])' "$record")
  printf '%s\n' "conclusion=$conclusion" "record=$id" "comment=$comment" >>"${GITHUB_OUTPUT:-/dev/stdout}"
fi
exit "$code"
