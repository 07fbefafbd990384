#!/bin/sh
# Makes the secrets of docker-compose.yml in .secrets/ beside it: random ones, each once. A file that is there stays.
# The UI's user is the first argument, `admin` if there is none; the password is printed, and kept nowhere else in words.
set -eu
cd "$(dirname "$0")/../.."
user=${1:-admin}
# The directory is closed and its files are not: in a container they are read by other users than you.
mkdir -p .secrets && chmod 700 .secrets
umask 022

new() { # the file, what is to be in it
    if [ -e ".secrets/$1" ]; then echo ".secrets/$1 is there" >&2; else printf '%s\n' "$2" >".secrets/$1"; fi
}

new clickhouse_password "$(openssl rand -hex 24)"
new clickhouse_cluster "$(openssl rand -hex 24)"
new postgres_password "$(openssl rand -hex 24)"
hosts=clickhouse:8123 cluster=
if grep -qs '^COMPOSE_PROFILES=cluster' .env; then
    hosts=clickhouse-1-1:8123,clickhouse-1-2:8123 cluster='?cluster=web_analytics'
fi
# In the URL a password of your own is quoted by percent signs: p@ss becomes p%40ss.
new CLICKHOUSE_DSN "clickhouse://web_analytics:$(cat .secrets/clickhouse_password)@$hosts/web_analytics$cluster"
if [ ! -e .secrets/proxy_users ]; then
    password=$(openssl rand -hex 12)
    new proxy_users "$user:$(printf '%s\n' "$password" | openssl passwd -6 -stdin)"
    echo "http://127.0.0.1:3000 user $user password $password"
fi
