# shellcheck shell=bash
# A small made-up bundle for the tests of bootable-usb-prepare.sh.

# A stand-in for the shipped tool: refuses a config-file that has the word INVALID in it, shows nothing of any.
write_bootstrapper() { # path
  cat >"$1" <<'SCRIPT'
#!/bin/sh
if [ "$1 $2" = "show redacted" ]; then echo '{"version":"1.0","secret":"(hidden)"}'; exit; fi
[ "$1" = validate ] && [ "$2" = --config-file ] || exit 2
case $# in 3) ;; 5) [ "$4" = --k3s-version ] && [ -n "$5" ] || exit 2 ;; *) exit 2 ;; esac
if grep -q INVALID "$3"; then
  echo "error[E001] $3:1:1: this line is not valid" >&2
  exit 1
fi
SCRIPT
  chmod +x "$1"
}

# Makes usb-bootable-files.tar.gz of the files in the folder, with sums and manifest.
pack_bundle() { # folder with the files, archive
  local sums id
  sums=$(cd "$1" && sha256sum cluster-bootstrapper hookos.efi os-image.json os-image.raw.zst)
  id=$(printf '%s\n' "$sums" | sha256sum | cut -c1-16)
  jq -n --arg id "$id" --slurpfile image "$1/os-image.json" \
    '{format: 1, id: $id, profile: "test", osImage: $image[0], files: []}' >"$1/manifest.json"
  (cd "$1" && printf '%s\n' "$sums" && sha256sum manifest.json) >"$1/SHA256SUMS.new"
  mv "$1/SHA256SUMS.new" "$1/SHA256SUMS"
  tar -C "$1" -czf "$2" .
}

make_bundle() { # folder; leaves usb-bootable-files.tar.gz and config-file there
  local files="$1/files" raw
  mkdir -p "$files"
  raw="$1/os.raw"
  head -c 3000000 /dev/urandom >"$raw"
  head -c 2000000 /dev/urandom >"$files/hookos.efi"
  zstd -q -o "$files/os-image.raw.zst" "$raw"
  write_bootstrapper "$files/cluster-bootstrapper"
  jq -n --arg sum "$(sha256sum <"$files/os-image.raw.zst" | cut -d' ' -f1)" --arg raw "$(sha256sum <"$raw" | cut -d' ' -f1)" \
    --argjson size "$(stat -c %s "$files/os-image.raw.zst")" \
    '{file: "os-image.raw.zst", compression: "zstd", size: $size, sha256: $sum, rawSize: 3000000, rawSha256: $raw,
      k3sVersion: "v1.33.13+test", name: "test", reference: true}' >"$files/os-image.json"
  pack_bundle "$files" "$1/usb-bootable-files.tar.gz"
  printf 'version: 1.0\nsecret: hunter2-correct-horse\n' >"$1/config-file"
}
