#!/usr/bin/env bash
# The e2e on a cluster of one node that a tool starts and removes, for machines without docker. See --help.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

usage() {
  cat <<'EOF'
The e2e on a cluster of one node, without docker: starts it, builds the images, and removes it again.

Usage: npm run e2e:one-node -- [options of the e2e: npm run e2e -- --help]
       test/e2e/one-node.sh --find     prints the tool's path, or nothing if there is none

The tool is the program that E2E_CLUSTER names or, if that is not set, the first of ../*/cluster/cluster next to this
checkout. It must know these verbs, and bring what they need:

  up                                     starts the cluster
  image -t NAME:TAG --target T CONTEXT   builds an image of a Dockerfile, and loads it into the node
  load NAME:TAG                          loads another image: postgres:15
  exec -- COMMAND...                     runs a command with KUBECONFIG, and kubectl in PATH
  down                                   stops the cluster

A cluster that is already running is used, and then stopped. With --keep it is kept.
EOF
}

find_tool() {
  local candidate
  if [[ -n ${E2E_CLUSTER:-} ]]; then
    [[ -f $E2E_CLUSTER && -x $E2E_CLUSTER ]] || { echo "E2E_CLUSTER is $E2E_CLUSTER, which is not a program" >&2; exit 2; }
    realpath "$E2E_CLUSTER"
    return
  fi
  for candidate in "$root"/../*/cluster/cluster; do
    if [[ -f $candidate && -x $candidate ]]; then realpath "$candidate"; return; fi
  done
}

# run VERB...: runs the tool, and prints what it does with the seconds since the start
run() {
  printf '\n== cluster %s [%s s]\n' "$*" "$SECONDS"
  "$tool" "$@"
}

end() {
  local status=$?
  if [[ $keeps ]]; then echo "the cluster is kept: $tool exec -- kubectl get pods -A"; else run down || status=1; fi
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
[[ $tool ]] || { echo "no tool for a one-node cluster next to this checkout; set E2E_CLUSTER to one (--help)" >&2; exit 2; }

cd "$root"
trap end EXIT
run up
for target in controller cleanup migrate verifier; do
  run image -t "apitoken-operator-$target:e2e" --target "$target" .
done
run image -t apitoken-operator-e2e-gateway:e2e --target e2e-gateway test/e2e/gateway-image
run load postgres:15
run exec -- node test/e2e/main.ts --no-build --tag e2e "$@"
