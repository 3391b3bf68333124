#!/usr/bin/env bash
# bench/macro.sh million|idle-tls: what the peers' harness does not measure, for Relais alone. Called by bench/run.sh, which sets the
# environment: PEERS_DIR, DIR, RESULTS, RELAIS_BINARY, SECS, REPEAT, IDLE, SETTLE, MILLION.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PEERS=$PEERS_DIR
SUITE=$1
BASE_PORT=${BASE_PORT:-21000}
# shellcheck source=/dev/null
. "$PEERS/lib.sh"
# shellcheck source=/dev/null
. "$here/relais_driver.sh"
PEER_NAME=relais_driver
MAILLOAD=$DIR/bin/mailload
ulimit -n "$(ulimit -Hn)"
trap all_down EXIT
trap 'exit 130' INT TERM

if [ ! -x "$MAILLOAD" ] || [ -n "$(find "$PEERS/load" -name '*.[ch]*' -newer "$MAILLOAD")" ]; then
  mkdir -p "$DIR/bin"
  g++ -std=c++20 -O2 -o "$MAILLOAD" "$PEERS/load/mailload.cpp" || die "the load tool does not build"
fi

# A delivery and a page FETCH in a mailbox of a thousand messages and in one of MILLION, in turns, so that both meet the same machine.
million() {
  instance_fresh 1
  local RUN who
  load lmtp "$LMTP_PORT" --name fill-small --user-first 1 --users 1 --msgs 1000 --size 1024 --conns 1
  load lmtp "$LMTP_PORT" --name fill-large --user-first 2 --users 1 --msgs "$MILLION" --size 1024 --conns 32 --pipeline 2
  instance_down 1
  instance_up 1
  for RUN in $(seq "$REPEAT"); do
    for who in 1 2; do
      local name=small
      [ "$who" = 1 ] || name=large
      python3 "$here/page_fetch.py" --port "$IMAP_PORT" --user "$(user_name "$who")" --secs "$SECS" --tag "peer=$PEER_NAME" --tag "suite=million" \
        --tag "run=$RUN" --name "page-$name" | tee -a "$RESULTS" | python3 "$PEERS/report.py" --lines >&2
    done
    # Not by time: the small mailbox must stay small beside the large one.
    for who in 1 2; do
      local name=small
      [ "$who" = 1 ] || name=large
      load lmtp "$LMTP_PORT" --name "deliver-$name" --user-first "$who" --users 1 --conns 1 --msgs 2000 --size 1024
    done
  done
}

# Idle sessions over TLS: the load tool speaks no TLS.
idle_tls() {
  export RELAIS_IMAPS=1
  instance_fresh 1
  local p
  p=$(cat "$I/pid")
  python3 "$here/idle_tls.py" --port "$((IMAP_PORT + 1))" --pid "$p" --conns "$IDLE" --settle "$SETTLE" --users "$USERS" --tag "peer=$PEER_NAME" --tag "suite=idle" \
    --tag run=1 --name "idle-tls-$IDLE" | tee -a "$RESULTS" | python3 "$PEERS/report.py" --lines >&2
}

case $SUITE in
  million) million ;;
  idle-tls)
    SUITE=idle
    idle_tls
    ;;
  *) die "no suite $SUITE" ;;
esac
