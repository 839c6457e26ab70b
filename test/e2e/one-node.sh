#!/usr/bin/env bash
# The e2e on a cluster of one node that a tool makes and takes away, for machines without docker. See --help.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

usage() {
  cat <<'EOF'
The e2e on a cluster of one node, without docker: makes it, builds the images, and takes it away again.

Usage: npm run e2e:one-node -- [options of the e2e: npm run e2e -- --help]
       test/e2e/one-node.sh --find     prints where the tool is; nothing, if there is none

The tool is the program that E2E_CLUSTER names, or else the first of ../*/cluster/cluster beside this checkout. It must
know these verbs, and bring what they need:

  up                                     starts the cluster
  image -t NAME:TAG --target T CONTEXT   builds an image of a Dockerfile, and loads it into the node
  load NAME:TAG                          loads another image that it has: postgres:15
  exec -- COMMAND...                     runs a command with KUBECONFIG, and kubectl in PATH
  down                                   ends the cluster

A cluster that runs already is used, and ended. With --keep it stays.
EOF
}

find_tool() {
  local candidate
  if [[ -n ${E2E_CLUSTER:-} ]]; then
    [[ -f $E2E_CLUSTER && -x $E2E_CLUSTER ]] || { echo "E2E_CLUSTER is $E2E_CLUSTER: no program" >&2; exit 2; }
    realpath "$E2E_CLUSTER"
    return
  fi
  for candidate in "$root"/../*/cluster/cluster; do
    if [[ -f $candidate && -x $candidate ]]; then realpath "$candidate"; return; fi
  done
}

# run VERB...: what the tool is told to do, with the seconds since the beginning
run() {
  printf '\n== cluster %s [%s s]\n' "$*" "$SECONDS"
  "$tool" "$@"
}

end() {
  local status=$?
  if [[ $keeps ]]; then echo "the cluster stays: $tool exec -- kubectl get pods -A"; else run down || status=1; fi
  exit "$status"
}

tool=$(find_tool)
keeps=
for option in "$@"; do
  case $option in
    -h | --help) usage; exit ;;
    --find) echo "$tool"; exit ;;
    --keep) keeps=yes ;;
  esac
done
[[ $tool ]] || { echo "no tool for a one-node cluster beside this checkout; have E2E_CLUSTER name one (--help)" >&2; exit 2; }

cd "$root"
trap end EXIT
run up
for target in controller cleanup migrate; do
  run image -t "apitoken-operator-$target:e2e" --target "$target" .
done
run load postgres:15
run exec -- node test/e2e/main.ts --no-build --tag e2e "$@"
