#!/usr/bin/env bash
# tools/fuzz.sh BUILD [SECONDS] [TARGET...]: runs each libFuzzer target for SECONDS; what it learns stays in BUILD/corpus.
set -euo pipefail
build=$1 seconds=${2:-60}
shift $(($# > 1 ? 2 : 1))
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
failed=()
while read -r program; do
  name=$(basename "$program")
  [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
  corpus=$build/corpus/$name
  mkdir -p "$corpus"
  args=("$corpus")
  [ ! -d "$source_dir/tests/fuzz/seeds/$name" ] || args+=("$source_dir/tests/fuzz/seeds/$name")
  [ ! -f "$source_dir/tests/fuzz/dict/$name.dict" ] || args+=("-dict=$source_dir/tests/fuzz/dict/$name.dict")
  echo "== $name, $seconds s"
  "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$build/corpus/$name-" \
    "${args[@]}" >"$build/corpus/$name.log" 2>&1 || failed+=("$name")
  grep -E 'stat::number_of_executed_units|SUMMARY|ERROR' "$build/corpus/$name.log" || true
done < <(find "$build" -name '*_fuzz' -type f -executable | sort)
[ ${#failed[@]} -eq 0 ] || { echo "found something: ${failed[*]} (logs and inputs in $build/corpus)"; exit 1; }
echo "every target ran $seconds s and found nothing"
