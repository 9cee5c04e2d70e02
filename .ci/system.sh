# Sourced by the tests that need a running system: starts localstack on ports of its own, waits until it is ready, and ends it.
# Before: offset (of the ports). Gives: work (a directory that is gone at the end), env_file, pid, relink (the command line), fail.
work=$(mktemp -d)
env_file=$work/env
go build -o "$work/localstack" ./localstack
"$work/localstack" --ephemeral --port-offset "$offset" --env-file "$env_file" >"$work/out" 2>"$work/err" &
pid=$!
second=
stop() {
  kill $second "$pid" 2>/dev/null || true
  wait $second "$pid" 2>/dev/null || true
  rm -rf "$work"
}
trap stop EXIT
fail() {
  echo "FAILED: $*"
  cat "$work/out" "$work/err"
  exit 1
}
for _ in $(seq 600); do
  grep -q '^ready' "$work/out" && break
  kill -0 "$pid" 2>/dev/null || fail "localstack ended"
  sleep 0.2
done
grep '^ready' "$work/out" || fail "localstack did not become ready"
relink() { .localstack/bin/relink --env "$env_file" "$@"; }
