#!/bin/sh
# Builds the fuzz target with libFuzzer's coverage counters, for which a stable compiler has all that is needed, and runs
# it: ./run.sh [SECONDS] [LIBFUZZER OPTIONS]
set -eu

cd "$(dirname "$0")"
seconds=${1:-600}
[ $# -eq 0 ] || shift

flags='--cfg fuzzing -Cpasses=sancov-module'
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    flags="$flags -Cllvm-args=-sanitizer-coverage-$option"
done
flags="$flags -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks"
# With --target the flags are not those of build scripts and macros.
target=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS=$flags cargo build --release --target "$target"

corpus=corpus/config_file
mkdir -p "$corpus" artifacts
# With a password, as the sample itself is refused.
sed 's/CHANGE-ME/c2VjcmV0LXdvcmQ=/' ../../configs/config-file.yaml >"$corpus/config-file.yaml"
cp ../../configs/scenarios/config-files/*.yaml ../tests/proposal.yaml "$corpus/"
"${CARGO_TARGET_DIR:-target}/$target/release/config_file" "$corpus" -artifact_prefix=artifacts/ \
    -max_total_time="$seconds" -max_len=20000 -timeout=20 -rss_limit_mb=2048 "$@"
