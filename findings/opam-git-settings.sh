#!/usr/bin/env bash
# opam 2.6.1 (Debian sid) starts git without the user's and the system's settings: it sets GIT_CONFIG_GLOBAL and
# GIT_CONFIG_SYSTEM to a file that is empty. opam 2.5.2 (Debian forky) starts it with them. So `diff.renames=false` in the
# user's settings, which keeps opam's patches free of renames, has no effect on 2.6; in opam's own clone it has.
# Exits 0 as long as that is so, 1 when it has changed, 2 when these versions cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
ci/get-opam.sh "$place/opams" forky sid >/dev/null || { echo "no opam of Debian forky or sid can be had"; exit 2; }
for version in 2.5.2 2.6.1; do
    [ -x "$place/opams/opam-$version" ] || { echo "no opam $version: $(ls "$place/opams")"; exit 2; }
done
cd "$place"
mkdir -p home bin nothing/packages
echo 'opam-version: "2.0"' >nothing/repo
export HOME=$place/home OPAMROOTISOK=1 OPAMYES=1
git config --global diff.renames false
git config --global user.name x
git config --global user.email x@example.org
# Keeps what opam is about to apply.
printf '#!/bin/sh\nfor word in "$@"; do case "$word" in --patch=?*) cp "${word#--patch=}" "$KEPT";; esac; done\nexit 0\n' >bin/hook
chmod +x bin/hook
export OPAMVALIDATIONHOOK="$place/bin/hook --patch=%{patch}%"
# How many renames there are in a patch that removes a file and adds it elsewhere.
renames() {
    version=$1 setting=$2
    rm -rf served
    git init -q -b main served
    mkdir -p served/packages/foo/foo.1
    seq 40 >served/packages/foo/foo.1/a
    cp nothing/repo served/repo
    git -C served add -A
    git -C served commit -qm 1
    export OPAMROOT=$place/root-$version-$setting KEPT=$place/patch-$version-$setting
    opam=$place/opams/opam-$version
    "$opam" init --bare --no-setup --disable-sandboxing --bypass-checks nothing ./nothing >>log 2>&1
    "$opam" repository add r "git+file://$place/served#main" 1 anchor --dont-select >>log 2>&1
    [ "$setting" = user ] || git -C "$OPAMROOT/repo/r" config diff.renames false
    git -C served mv packages/foo/foo.1/a packages/foo/foo.1/b
    git -C served commit -qm 2
    "$opam" update r >>log 2>&1
    grep -c '^rename from' "$KEPT" || true
}
seen=""
for version in 2.5.2 2.6.1; do
    for setting in user clone; do
        count=$(renames "$version" "$setting")
        echo "opam $version, diff.renames=false of the $setting: $count renames"
        seen="$seen$count "
    done
done
[ "$seen" = "0 0 1 0 " ]
