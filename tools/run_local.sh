#!/usr/bin/env bash
# tools/run_local.sh RELAIS [DIR]: a ready-to-use local platform (made at the first call), served in the foreground.
set -euo pipefail
relais=$1 dir=${2:-run}
base=10000 domain=example.test
if [ ! -e "$dir/relais.toml" ]; then
  "$relais" init "$dir" --domain "$domain" --listen 127.0.0.1 --base-port "$base"
  for user in ada bob; do
    echo secret | "$relais" account add "$user@$domain" --password-stdin --dir "$dir" >/dev/null
  done
fi
cat <<TEXT

Two accounts: ada@$domain and bob@$domain, password: secret
  SMTP 10025 · submission 10587, 10465 (TLS) · LMTP 10024 · IMAP 10143, 10993 (TLS) · POP3 10110, 10995 (TLS) · metrics http://127.0.0.1:10080/metrics
  send:  swaks --server 127.0.0.1 --port 10025 --from you@example.net --to ada@$domain --header "Subject: hello"
  read:  curl -u ada@$domain:secret "imap://127.0.0.1:10143/INBOX;MAILINDEX=*"
  stop:  Ctrl-C

TEXT
exec "$relais" serve "$dir"
