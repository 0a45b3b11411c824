#!/usr/bin/env bash
# A site's own script that does two phases of the rotation of the Kingdom's leaf, for
#
#   halo-harness run --scenario rotation/procedure/the-kingdom-s-leaf-phase-by-phase \
#     --hook 'switch=docs/hook-example.sh' --hook 'drain=docs/hook-example.sh'
#
# It is told what to do by HALO_* variables (README.md, "Your own script"). What it does here with
# files and the control listener, it does in production with `kubectl apply -k` and `kubectl rollout`.
set -euo pipefail

restart_all() {
  for ((replica = 0; replica < HALO_REPLICAS; replica++)); do
    curl -sS --fail -X POST "$HALO_CONTROL/v1/replicas/$replica/restart" >/dev/null
    echo "replica $replica restarted"
  done
}

case "$HALO_PHASE" in
  switch)
    # Both files are written whole beside the old ones, then renamed: nobody reads a half.
    install -m 600 "$HALO_NEW_KEY" "$HALO_FILES_DIR/kingdom_tls.key.new"
    install -m 644 "$HALO_NEW_CERT" "$HALO_FILES_DIR/kingdom_tls.pem.new"
    mv "$HALO_FILES_DIR/kingdom_tls.key.new" "$HALO_FILES_DIR/kingdom_tls.key"
    mv "$HALO_FILES_DIR/kingdom_tls.pem.new" "$HALO_FILES_DIR/kingdom_tls.pem"
    # The real servers read their files at start only (contract 5.4.1).
    restart_all
    ;;
  drain)
    # Each restart above gave the old connections their GOAWAY; nothing is left to do.
    echo "drained by the restarts"
    ;;
  *)
    echo "this script does not do the phase $HALO_PHASE" >&2
    exit 64
    ;;
esac
