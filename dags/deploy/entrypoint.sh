#!/bin/sh
# What the image starts first: PostgreSQL's client, libpq, gets its password from a file. Then the command takes its
# place. An environment variable would be seen in /proc, in `docker inspect` and by every process of a run; libpq reads
# ~/.pgpass by itself, whoever starts it, `docker compose exec` too, and ignores it unless only its owner may read it,
# which a mounted secret seldom is.
set -eu
if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
    if [ ! -r "$POSTGRES_PASSWORD_FILE" ]; then
        echo "POSTGRES_PASSWORD_FILE is '$POSTGRES_PASSWORD_FILE', which user $(id -u) cannot read: mount the secret there, readable" >&2
        exit 78
    fi
    umask 077
    password=$(cat "$POSTGRES_PASSWORD_FILE")
    # Whatever server, port, database and user; in the password a backslash and a colon are written after a backslash.
    printf '*:*:*:*:%s\n' "$(printf %s "$password" | sed 's/[\\:]/\\&/g')" >"$HOME/.pgpass"
    unset password
fi
exec "$@"
