# Relais as a peer of peers/run.sh: `run.sh bench/relais_driver.sh SUITE`. Sourced there, never run by itself.
# Environment: RELAIS_BINARY (default build/release/admin/relais), RELAIS_SHARDS (the program's default), RELAIS_DOOR=lmtp
# (no SMTP, so that suite `smtp` measures delivery over LMTP), RELAIS_IMAPS=1 (IMAP over TLS too, on the port after IMAP's).
RELAIS_BINARY=${RELAIS_BINARY:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/build/release/admin/relais}
relais_dir() { echo "$I/p"; }
peer_setup() {
  [ -x "$RELAIS_BINARY" ] || die "no program $RELAIS_BINARY; ./dev build makes it"
  local dir n
  dir=$(relais_dir)
  # shellcheck disable=SC2086
  "$RELAIS_BINARY" init "$dir" --domain "$DOMAIN" --base-port "$((BASE_PORT + INST * 100))" ${RELAIS_SHARDS:+--shards $RELAIS_SHARDS} >"$I/init.log" || die "init failed: $(cat "$I/init.log")"
  # The ports that the harness chose, nothing else; logins check plain secrets, as on the peers, and keep them.
  local smtp=$SMTP_PORT
  peer_has smtp || smtp=0
  sed -i -E -e "s/^smtp = .*/smtp = $smtp/" -e "s/^lmtp = .*/lmtp = $LMTP_PORT/" -e "s/^imap = .*/imap = $IMAP_PORT/" -e "s/^pop3 = .*/pop3 = $POP_PORT/" \
    -e 's/^(submission|submissions|imaps|pop3s|http) = .*/\1 = 0/' -e 's/^default_domain = .*/&\nupgrade_hashes = false/' "$dir/relais.toml"
  [ -z "${RELAIS_IMAPS:-}" ] || sed -i -E "s/^imaps = .*/imaps = $((IMAP_PORT + 1))/" "$dir/relais.toml"
  echo "address,password_hash" >"$I/users.csv"
  for n in $(seq "$USERS"); do echo "$(user_name "$n"),{PLAIN}$PASS" >>"$I/users.csv"; done
  "$RELAIS_BINARY" account import "$I/users.csv" --dir "$dir" >"$I/import.log" 2>&1 || die "import failed: $(cat "$I/import.log")"
}
peer_start() {
  local dir n
  dir=$(relais_dir)
  : >"$I/ready"
  rm -f "$I/pid"
  # The shell that becomes the server writes the id: cg_run's own shells stand in between.
  # shellcheck disable=SC2016
  cg_run "$SRV_CG" bash -c 'echo $$ >"$0" && exec "$@"' "$I/pid" "$RELAIS_BINARY" serve "$dir" >"$I/ready" 2>>"$I/log" &
  for n in $(seq 200); do
    grep -q ^ready "$I/ready" && return 0
    [ ! -s "$I/pid" ] || kill -0 "$(cat "$I/pid")" 2>/dev/null || break
    sleep 0.05
  done
  die "relais did not start: $(tail -3 "$I/log")"
}
peer_stop() {
  local p n
  p=$(cat "$I/pid" 2>/dev/null) || return 0
  kill -TERM "$p" 2>/dev/null || return 0
  for n in $(seq 400); do kill -0 "$p" 2>/dev/null || return 0; sleep 0.05; done
}
peer_has() { [[ $1 == lmtp || $1 == imap || $1 == pop ]] || [[ $1 == smtp && ${RELAIS_DOOR:-smtp} == smtp ]]; }
peer_wipe() { die "relais: use a fresh instance"; }
peer_queue() { echo 0; } # local mail is in its mailbox before the reply
peer_flush() { :; }
peer_pids() { cat "$I/pid"; }
