#!/bin/sh
# What a forge runs for a signed repository. It holds no key and needs no secret.
#
#   conex-ci.sh review BASE HEAD    what a change asks for, and of whom; fails only where the change
#                                   can never be right
#   conex-ci.sh advance             leads the branch that clients follow on to what is approved of the
#                                   main line, and pushes it
#
# Run it in a clone with the history between BASE and HEAD, or of both branches. Settings, all but the first
# with a default:
#   CONEX_TRUST_ANCHORS   where trust starts, as conex verify has it
#   CONEX_QUORUM          beside key fingerprints
#   CONEX_MODE            warn or enforce                      [warn]
#   CONEX_MAIN            the main line                        [main]
#   CONEX_SIGNED          the branch that clients follow       [signed]
#   CONEX_REMOTE          where both are                       [origin]
#   CONEX_FORMAT          of a review: text, markdown, github, json [text]
#   CONEX                 the program                          [conex]
set -eu

conex=${CONEX:-conex}
main=${CONEX_MAIN:-main}
signed=${CONEX_SIGNED:-signed}
remote=${CONEX_REMOTE:-origin}

usage() {
    echo "usage: conex-ci.sh review BASE HEAD, or conex-ci.sh advance" >&2
    exit 2
}

# The branch as it is now, here and there. That there is none yet is told by an exit code, so that
# a server that does not answer is not taken for one.
fetch() {
    if git ls-remote --exit-code "$remote" "refs/heads/$signed" >/dev/null; then
        git fetch --quiet "$remote" "+refs/heads/$signed:refs/heads/$signed"
    elif [ $? -ne 2 ]; then
        echo "conex-ci: $remote does not answer" >&2
        exit 3
    elif git rev-parse --quiet --verify "refs/heads/$signed" >/dev/null; then
        git update-ref -d "refs/heads/$signed"
    fi
    git fetch --quiet "$remote" "+refs/heads/$main:refs/remotes/conex-ci/$main"
}

advance() {
    # Somebody else may push at the same time. What both make of the same main line is the same commit.
    for attempt in 1 2 3; do
        fetch
        "$conex" advance --from "refs/remotes/conex-ci/$main" --to "$signed" \
            --mode "${CONEX_MODE:-warn}" ${CONEX_QUORUM:+--quorum "$CONEX_QUORUM"}
        if git push --quiet "$remote" "refs/heads/$signed:refs/heads/$signed"; then
            return
        fi
        echo "conex-ci: attempt $attempt to push $signed failed" >&2
    done
    exit 1
}

case ${1:-} in
review)
    [ $# -eq 3 ] || usage
    exec "$conex" review --format "${CONEX_FORMAT:-text}" -- "$2..$3"
    ;;
advance)
    [ $# -eq 1 ] || usage
    advance
    ;;
*)
    usage
    ;;
esac
