#!/usr/bin/env bash
# bench/run.sh [SUITE…] [KEY=VALUE…]: micro benchmarks, and Relais beside the mail servers of today. ./dev bench calls it after the build.
#
# Suites: micro relay fairness queued relaying mirroring smtp lmtp imap pop idle million; all of them by default. Those from smtp on need the peers' drivers and load tool,
# found in ${RELAIS_SHARED:-../shared}/peers; its setup.sh has installed the servers. They run as root on Debian 12, everything on loopback; so does
# Postfix in `relay` (PEERS=none: without it).
#
#   relay     smtp-source → server → smtp-sink, beside Postfix: bench/relay.py
#   fairness  healthy destinations beside dead and slow ones: bench/queue_fairness.cc
#   queued    the start with MILLION queued messages: bench/queued.py
#   mirroring copying an account from a Dovecot, durable, and passes that find nothing new: bench/mirroring.py
#   relaying  processor time and latency of IMAP sessions relayed to a legacy Dovecot, beside Dovecot's own proxy: bench/relaying.py
#
#   QUICK=1       3 seconds a figure and one run of each, fewer idle connections: for a look, not for a record
#   SECS, REPEAT  seconds a figure (8) and runs of each (3)
#   PEERS         the servers to compare with: "none" measures Relais alone; by default those that the table of aims names for the suite
#   DIR           scratch directory on the file system to measure (${TMPDIR:-/tmp}/peers-scratch), as of peers/setup.sh
#   RESULTS       file of the figures (build/bench/results.jsonl, begun anew); bench/ratios.py prints the table from it
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")

suites=()
for arg in "$@"; do
  case $arg in
    *=*) export "${arg?}" ;;
    micro | relay | fairness | queued | relaying | mirroring | smtp | lmtp | imap | pop | idle | million) suites+=("$arg") ;;
    *)
      echo "bench: no suite '$arg'; there are micro relay fairness queued relaying mirroring smtp lmtp imap pop idle million" >&2
      exit 2
      ;;
  esac
done
[ ${#suites[@]} -gt 0 ] || suites=(micro relay fairness queued relaying mirroring smtp lmtp imap pop idle million)

build=${BUILD:-$root/build/release}
peers=${RELAIS_SHARED:-$root/../shared}/peers
export RELAIS_BINARY=${RELAIS_BINARY:-$build/admin/relais}
export DIR=${DIR:-${TMPDIR:-/tmp}/peers-scratch}
if [ -n "${QUICK:-}" ]; then
  export SECS=${SECS:-3} REPEAT=${REPEAT:-1} IDLE=${IDLE:-2000} SETTLE=${SETTLE:-4} MILLION=${MILLION:-100000}
fi
export SECS=${SECS:-8} REPEAT=${REPEAT:-3} IDLE=${IDLE:-10000} SETTLE=${SETTLE:-10} MILLION=${MILLION:-1000000}
export RESULTS=${RESULTS:-$root/build/bench/results.jsonl}

micro() {
  local program
  for program in "$build"/bench/*_bench; do
    RELAIS_BENCH_DIR=$DIR "$program" --benchmark_counters_tabular=true
  done
}

relay() {
  local servers=relais,postfix
  [ "${PEERS:-}" != none ] || servers=relais
  python3 "$here/relay.py" --servers "$servers" --seconds "$SECS" --repeat "$REPEAT" --dir "$DIR" --results "$RESULTS"
  [ -n "${QUICK:-}" ] || python3 "$here/relay.py" --servers "$servers" --sizes 1024,102400 --connections 8 --seconds "$SECS" --repeat "$REPEAT" --dir "$DIR" --results "$RESULTS"
}

fairness() {
  if [ -n "${QUICK:-}" ]; then
    "$build/bench/queue_fairness" messages=10000 seconds=10 dir="$DIR" | tee -a "$RESULTS"
  else
    "$build/bench/queue_fairness" dir="$DIR" | tee -a "$RESULTS"
  fi
}

relaying() {
  local less=()
  [ -z "${QUICK:-}" ] || less=(--megabytes 100)
  python3 "$here/relaying.py" "${less[@]}" --repeat "$REPEAT" --dir "$DIR" --results "$RESULTS"
}

mirroring() {
  local less=()
  [ -z "${QUICK:-}" ] || less=(--messages 2000 --many 10000)
  python3 "$here/mirroring.py" "${less[@]}" --tool "$build/tests/mirror_tool" --repeat "$REPEAT" --dir "$DIR" --results "$RESULTS"
}

queued() { python3 "$here/queued.py" --count "$MILLION" --fill "$build/bench/queue_fill" --dir "$DIR" --results "$RESULTS"; }

# who names the servers that a suite is compared with
rivals() {
  [ "${PEERS:-}" != none ] || return 0
  if [ -n "${PEERS:-}" ]; then echo "$PEERS"; return; fi
  case $1 in
    smtp) echo postfix-sdbox postfix-mdbox ;;
    lmtp | pop) echo dovecot-sdbox dovecot-mdbox ;;
    imap) echo dovecot-sdbox dovecot-mdbox cyrus ;;
    idle) echo dovecot-sdbox cyrus ;;
  esac
}

# one server, one suite, through the peers' harness
measure() { # measure PEER SUITE
  local peer=$1 suite=$2
  case $suite in
    smtp) CASES=${CASES:-smtp-c1-10k smtp-c16-10k} bash "$peers/run.sh" "$peer" smtp ;;
    lmtp) CASES=${CASES:-lmtp-c1-10k lmtp-c16-10k lmtp-c16-onebox} RELAIS_DOOR=lmtp bash "$peers/run.sh" "$peer" smtp ;;
    idle)
      bash "$peers/run.sh" "$peer" idle
      [ "$peer" != "$here/relais_driver.sh" ] || bash "$here/macro.sh" idle-tls
      ;;
    million) bash "$here/macro.sh" million ;;
    *) bash "$peers/run.sh" "$peer" "$suite" ;;
  esac
}

macro() { # macro SUITE
  local peer
  measure "$here/relais_driver.sh" "$1" || echo "bench: suite $1 of Relais ended with an error" >&2
  for peer in $(rivals "$1"); do
    case $peer in # cyrus at ten thousand idle sessions would take 33 GB
      cyrus) [ "$1" != idle ] || local -x IDLE=1000 ;;
    esac
    measure "$peer" "$1" || echo "bench: suite $1 of $peer ended with an error" >&2
  done
}

export PEERS_DIR=$peers
mkdir -p "$(dirname "$RESULTS")" "$DIR"
began= own=
for suite in "${suites[@]}"; do
  case $suite in
    micro)
      micro
      continue
      ;;
    relay | fairness | queued | relaying | mirroring)
      if [ -z "$began$own" ] && [ -z "${APPEND:-}" ]; then : >"$RESULTS"; fi
      own=1
      "$suite" || echo "bench: suite $suite ended with an error" >&2
      continue
      ;;
  esac
  if [ ! -f "$peers/run.sh" ]; then
    echo "bench: no $peers/run.sh, so the macro suites (here: $suite) are left out. Set RELAIS_SHARED to the folder that holds peers/." >&2
    continue
  fi
  if [ -z "$began$own" ] && [ -z "${APPEND:-}" ]; then : >"$RESULTS"; fi
  began=1
  macro "$suite"
done
[ -z "$began" ] || python3 "$here/ratios.py" "$RESULTS"
