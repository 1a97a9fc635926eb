#!/usr/bin/env bash
# opam 2.6.1 (Debian sid) keeps http repositories, and with OPAMREPOSITORYTARRING=1 local ones, as one archive. When an
# update removes one file from a directory, opam's archive loses every other file below that directory, too,
# although the patch says nothing of them. The next update brings them back. A copy kept as a directory is right.
# Exits 0 as long as that is so, 1 when it has changed, 2 when this version cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
ci/get-opam.sh "$place/opams" sid >/dev/null || { echo "no opam of Debian sid can be had"; exit 2; }
opam=$place/opams/opam-2.6.1
[ -x "$opam" ] || { echo "another version than 2.6.1: $(ls "$place/opams")"; exit 2; }
cd "$place"
mkdir -p home served/packages/foo/foo.1/files nothing/packages
echo 'opam-version: "2.0"' | tee nothing/repo >served/repo
printf 'opam-version: "2.0"\nmaintainer: "somebody"\n' >served/packages/foo/foo.1/opam
for name in removed kept; do echo "$name" >"served/packages/foo/foo.1/files/$name"; done
run() {
    env HOME="$place/home" OPAMROOT="$place/root-$tarring" OPAMROOTISOK=1 OPAMYES=1 OPAMREPOSITORYTARRING="$tarring" "$opam" "$@" >>"$place/log" 2>&1
}
for tarring in 0 1; do
    run init --bare --no-setup --disable-sandboxing --bypass-checks nothing ./nothing
    run repository add r ./served --dont-select
done
rm served/packages/foo/foo.1/files/removed
for tarring in 0 1; do run update r; done
directory=$(cd root-0/repo/r && find packages -type f | sort | tr '\n' ' ')
archive=$(tar tzf root-1/repo/r.tar.gz | grep ^packages | sort | tr '\n' ' ')
echo "opam 2.6.1, after packages/foo/foo.1/files/removed is gone:"
echo "  as a directory: $directory"
echo "  as an archive:  $archive"
[ "$directory" = "packages/foo/foo.1/files/kept packages/foo/foo.1/opam " ] && [ "$archive" = "packages/foo/foo.1/opam " ]
