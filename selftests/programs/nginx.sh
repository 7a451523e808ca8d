#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# nginx and curl of Debian, as they are: a file of 20 MiB.
#
# worlds: smcd smcr none

set -euo pipefail
. "${BASH_SOURCE[0]%/*}/lib.sh"

mkdir "$tmp/www"
head -c 20971520 /dev/urandom > "$tmp/www/file"
half=10485760

configuration() { # configuration PORT
	cat <<CONFIGURATION
user root;
daemon off;
worker_processes 1;
error_log $tmp/nginx-$1.log;
pid $tmp/nginx-$1.pid;
events {}
http {
	access_log off;
	sendfile $2;
	server {
		listen 127.0.0.1:$1;
		root $tmp/www;
	}
}
CONFIGURATION
}
nginx_on() { # nginx_on PORT COMMAND...
	serve "$1" "${@:2}" nginx -e "$tmp/nginx.log" -c "$tmp/nginx-$1.conf"
}
configuration "$port" on > "$tmp/nginx-$port.conf"
configuration "$plain_port" off > "$tmp/nginx-$plain_port.conf"
nginx_on "$port" "${attached[@]}"
nginx_on "$plain_port"

intact() { cmp -n "$half" "$tmp/first" "$tmp/www/file" && cmp "$tmp/rest" "$tmp/www/file" 0 "$half"; }

# curl cannot go on when nobody reads what it writes: so the connection is there to look at.
download() { # download NAME smc|tcp PORT COMMAND...
	local pid

	look_anew
	mkfifo "$tmp/out.fifo"
	timeout 600 "${@:4}" curl -sSf "http://127.0.0.1:$3/file" > "$tmp/out.fifo" 2> "$tmp/err" &
	pid=$!
	exec {from}< "$tmp/out.fifo"
	head -c "$half" <&"$from" > "$tmp/first" || :
	look "$3"
	cat <&"$from" > "$tmp/rest" || :
	exec {from}<&-
	ok "$1: curl ends well" wait "$pid"
	rm "$tmp/out.fifo"
	ok "$1: the file is what it was" intact
	carried "$1" "$2" curl "$half" nginx
}
cases download

the_end
