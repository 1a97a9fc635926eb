#!/usr/bin/env bash
# opam 2.6.1 (Debian sid) prints the file `repo` of a repository anew in its own copy when that file has no `opam-version`:
# it adds the field, puts the others into its own order, and drops comments. It does so after the program that it
# asks about the repository has answered, so that the copy is not, byte for byte, what was asked about; and the next update,
# a patch made against this copy, takes the field out again and has it added once more. With the field, nothing is touched.
# Exits 0 as long as that is so, 1 when it has changed, 2 when this version cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
ci/get-opam.sh "$place/opams" sid >/dev/null || { echo "no opam of Debian sid can be had"; exit 2; }
opam=$place/opams/opam-2.6.1
[ -x "$opam" ] || { echo "another version than 2.6.1: $(ls "$place/opams")"; exit 2; }
cd "$place"
mkdir -p home nothing/packages with/packages/foo/foo.1 without/packages/foo/foo.1
echo 'opam-version: "2.0"' >nothing/repo
printf '# made by hand\nstamp: "1"\nbrowse:   "https://example.org"\n' >without/repo
{ echo 'opam-version: "2.0"'; cat without/repo; } >with/repo
for name in with without; do
    printf 'opam-version: "2.0"\nmaintainer: "somebody"\n' >$name/packages/foo/foo.1/opam
done
cat >hook <<'H'
#!/bin/sh
# Keeps what it is asked about, and says yes.
for last; do :; done
if [ -d "$last" ]; then cp "$last/repo" "$ASKED.repo"; else cp "$last" "$ASKED.patch"; fi
H
chmod +x hook
run() {
    env HOME="$place/home" OPAMROOT="$place/root" OPAMROOTISOK=1 OPAMYES=1 ASKED="$place/asked" "$opam" "$@" >>"$place/log" 2>&1
}
run init --bare --no-setup --disable-sandboxing --bypass-checks nothing ./nothing
run option --global "repository-validation-command=[\"$place/hook\" \"%{anchors}%\" \"%{repo}%\" \"%{patch}%\" {incremental} \"%{dir}%\" {!incremental}]"
for name in with without; do
    run repository add "$name" "./$name" 1 anchor --dont-select
    cmp -s asked.repo "root/repo/$name/repo" && kept=yes || kept=no
    echo "$name the field: the copy's file is the one asked about: $kept"
    eval "kept_$name=$kept"
done
sed 's/^/  asked: /' asked.repo
sed 's/^/  kept:  /' root/repo/without/repo
echo 'synopsis: "a change"' >>without/packages/foo/foo.1/opam
run update without
taken=$(grep -c '^-opam-version: "2.0"$' asked.patch || true)
echo "the next patch takes the field out: $taken"
[ "$kept_with" = yes ] && [ "$kept_without" = no ] && [ "$taken" = 1 ] &&
    [ "$(head -1 root/repo/without/repo)" = 'opam-version: "2.0"' ] && ! grep -q '#' root/repo/without/repo
