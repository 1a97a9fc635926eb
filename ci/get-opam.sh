#!/usr/bin/env bash
# Usage: ci/get-opam.sh DIR [SUITE...]
#
# Fetches opam as several suites of Debian have it, side by side, and installs nothing. DIR gets a program opam-VERSION for
# each, which runs with the libraries of its own suite; "VERSION PROGRAM" is printed for each. A suite that cannot be had is one line
# on standard error. Exits with 1 only if none can. The mirror is the one that apt is configured with.
set -euo pipefail

base=$(mkdir -p "${1:?usage: get-opam.sh DIR [SUITE...]}" && cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- bookworm trixie forky sid

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "no opam can be fetched: this machine has no apt" >&2
    exit 1
fi
# Of the lines "deb [options] ADDRESS SUITE ..." and "URIs: ADDRESS ..." the first whose address ends in /debian.
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -v '^#' |
    grep -oE '[a-z+]+:[^ ]+/debian/?( |$)' | head -n 1 | tr -d ' ') || true
if [ -z "$mirror" ]; then
    echo "no opam can be fetched: apt is configured with no mirror of Debian" >&2
    exit 1
fi

# Runs a program of apt on one suite alone, as on a machine where nothing is installed.
apt() {
    local program=$1
    shift
    "$program" -qq -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o "Dir::State=$work/state" -o "Dir::Cache=$work/cache" -o "Dir::State::Status=$work/status" \
        -o APT::Sandbox::User=root "$@"
}

# The packages with opam and the libraries that it is linked with.
packages() {
    apt apt-cache dumpavail | awk '
        $1 == "Package:" { name = $2 }
        $1 == "Depends:" || $1 == "Pre-Depends:" { needs[name] = needs[name] "," substr($0, index($0, ":") + 1) }
        END {
            wanted[1] = "opam"; seen["opam"] = many = 1
            for (at = 1; at <= many; at++) {
                print wanted[at]
                parts = split(needs[wanted[at]], part, ",")
                for (i = 1; i <= parts; i++) {
                    split(part[i], word, " "); sub(/:.*/, "", word[1])
                    if (word[1] ~ /^(lib|zlib)/ && !seen[word[1]]++) wanted[++many] = word[1]
                }
            }
        }'
}

fetch() {
    local suite=$1 key=/usr/share/keyrings/debian-archive-keyring.gpg archive loader libraries version
    rm -rf "$work"
    mkdir -p "$work"/state/lists/partial "$work"/cache/archives/partial "$work"/debs "$work"/root
    : >"$work/status"
    echo "deb [signed-by=$key] $mirror $suite main" >"$work/sources.list"
    apt apt-get update || return
    (cd "$work/debs" && apt apt-get download $(packages)) || return
    for archive in "$work"/debs/*.deb; do
        dpkg-deb --extract "$archive" "$work/root" || return
    done
    loader=$(find "$work/root" -name 'ld-linux*.so*' | sort | head -n 1)
    libraries=$(find "$work/root" -name '*.so.*' -printf '%h\n' | sort -u | paste -s -d :)
    version=$("$loader" --library-path "$libraries" "$work/root/usr/bin/opam" --version) || return
    printf '#!/bin/sh\nexec %q --library-path %q %q "$@"\n' "$loader" "$libraries" "$work/root/usr/bin/opam" \
        >"$base/opam-$version"
    chmod +x "$base/opam-$version"
    rm -rf "$work/debs" "$work/state" "$work/cache"
    echo "$version $base/opam-$version"
}

found=1
for suite in "$@"; do
    work=$base/$suite
    mkdir -p "$base"
    if fetch "$suite" 2>"$base/$suite.log"; then
        found=0
    else
        echo "opam of $suite cannot be had: $(grep . "$base/$suite.log" | tail -n 1)" >&2
    fi
done
exit $found
