#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The tool, on a real nginx and on simple workers: show, attach, detach, run,
# monitor; what it says and returns when something is wrong; and the examples.
#
# Each test is this script again, in network and process namespaces of its own,
# which end with all their processes. SG_BIN names the folder of the programs.

# The tests are called by name, which shellcheck cannot follow.
# shellcheck disable=SC2317,SC2086

set -uo pipefail

HERE=$(dirname "$(readlink -f "$0")")
CHECKOUT=$(dirname "$HERE")
BIN=${SG_BIN:-$CHECKOUT/build/bin}
SGCTL=$BIN/sgctl
PORT=8080
PATIENCE=60
TESTS=(show_nothing usage_errors failures attach_nginx attach_some detach_group
	attach_and_mptcp run_workers monitor example_c example_python example_rust)

# --- What the tests use; one that fails ends its test.

complain() {
	echo "# $*"
	exit 1
}

# wait_until COMMAND… - until it succeeds.
wait_until() {
	local end=$((SECONDS + PATIENCE))
	until "$@"; do
		((SECONDS < end)) || complain "in vain: $*"
		sleep 0.05
	done
}

# expect_status STATUS COMMAND… - its output is left in $out, its errors in $err.
expect_status() {
	local wanted=$1 status
	shift
	"$@" >"$dir/out" 2>"$dir/err"
	status=$?
	out=$(<"$dir/out") err=$(<"$dir/err")
	((status == wanted)) || complain "status $status, not $wanted: $*: $out $err"
}

# told EXPRESSION - what Python makes of `show --json`, which is `groups`.
told() {
	"$SGCTL" show --json | python3 -c \
		"import json, sys; groups = json.load(sys.stdin); print(($1))"
}

expect_told() {
	local seen
	seen=$(told "$1") || complain "show --json is no JSON"
	[[ $seen == "$2" ]] || complain "$1 is $seen, not $2"
}

listeners() {
	ss -Htln "sport = :$PORT" | wc -l
}

has_listeners() {
	(($(listeners) == $1))
}

has_lines() {
	(($(wc -l <"$1") >= $2))
}

start_nginx() {
	mkdir -p "$dir/nginx"
	cat >"$dir/nginx.conf" <<-EOF
		worker_processes 4;
		daemon off;
		user root;
		pid $dir/nginx/pid;
		error_log stderr;
		events { worker_connections 64; }
		http {
			access_log off;
			client_body_temp_path $dir/nginx/body;
			proxy_temp_path $dir/nginx/proxy;
			fastcgi_temp_path $dir/nginx/fastcgi;
			uwsgi_temp_path $dir/nginx/uwsgi;
			scgi_temp_path $dir/nginx/scgi;
			server {
				listen 127.0.0.1:$PORT reuseport backlog=16;
				location / { return 200 "served\n"; }
			}
		}
	EOF
	nginx -p "$dir/nginx" -c "$dir/nginx.conf" 2>"$dir/nginx.log" &
	wait_until has_listeners 4
}

expect_served() {
	[[ $(curl -s --max-time 60 "http://127.0.0.1:$PORT/") == served ]] || complain "not served"
}

# --- The tests.

show_nothing() {
	expect_status 0 "$SGCTL" show
	expect_told groups '[]'
}

usage_errors() {
	expect_status 2 "$SGCTL"
	expect_status 2 "$SGCTL" nonsense
	expect_status 2 "$SGCTL" attach
	expect_status 2 "$SGCTL" attach --port 0
	expect_status 2 "$SGCTL" detach
	expect_status 2 "$SGCTL" run --listen 127.0.0.1:1
	expect_status 0 "$SGCTL" --version
	expect_status 0 "$SGCTL" run --help
}

failures() {
	expect_status 1 "$SGCTL" attach --port $PORT
	[[ $err == *"$PORT"* ]] || complain "does not name the port: $err"
	expect_status 1 "$SGCTL" detach --group 77
	[[ $err == *77* ]] || complain "does not name the group: $err"
	expect_status 1 "$SGCTL" show --group 77
	[[ -n $err ]] || complain "says nothing"
}

attach_nginx() {
	local id
	start_nginx
	expect_status 0 "$SGCTL" attach --port $PORT --dry-run
	expect_told groups '[]'
	expect_status 0 "$SGCTL" attach --port $PORT
	expect_told 'len(groups), len(groups[0]["members"])' '(1, 4)'
	expect_told '{m["state"] for m in groups[0]["members"]}' "{'listening'}"
	expect_told '{m["backlog"] for m in groups[0]["members"]}' '{16}'
	expect_status 0 "$SGCTL" show
	[[ $out == *127.0.0.1* ]] || complain "the table has no address: $out"
	id=$(told 'groups[0]["id"]')
	expect_served
	# Once more: nothing changes.
	expect_status 0 "$SGCTL" attach --port $PORT
	expect_told 'len(groups), len(groups[0]["members"])' '(1, 4)'
	expect_told 'groups[0]["id"]' "$id"
	expect_status 0 "$SGCTL" detach --port $PORT
	expect_told groups '[]'
	expect_served
}

# A socket that is new joins the others.
attach_some() {
	local id
	start_nginx
	expect_status 0 "$SGCTL" attach --port $PORT --json
	python3 -m json.tool <"$dir/out" >/dev/null || complain "no JSON: $out"
	id=$(told 'groups[0]["id"]')
	python3 -c "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
s.bind(('127.0.0.2', $PORT)); s.listen(5); time.sleep(1000)" &
	wait_until has_listeners 5
	expect_status 0 "$SGCTL" attach --port $PORT
	expect_told 'len(groups), len(groups[0]["members"]), groups[0]["id"]' "(1, 5, $id)"
}

detach_group() {
	start_nginx
	expect_status 0 "$SGCTL" attach --port $PORT
	expect_status 0 "$SGCTL" detach --drain --group "$(told 'groups[0]["id"]')"
	expect_told groups '[]'
}

# What cannot be taken is told, and why.
attach_and_mptcp() {
	python3 -c "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
s.bind(('127.0.0.1', $PORT)); s.listen(5); time.sleep(1000)" &
	wait_until has_listeners 1
	expect_status 1 "$SGCTL" attach --port $PORT
	[[ $err == *MPTCP* ]] || complain "does not name MPTCP: $err"
	expect_told groups '[]'
}

run_workers() {
	local runner id first pids
	# shellcheck disable=SC2016
	"$SGCTL" run --workers 2 --listen 127.0.0.1:$PORT -- \
		sh -c 'echo $LISTEN_FDS $LISTEN_PID $$ >>"$1"; exec sleep 1000' sh "$dir/workers" &
	runner=$!
	: >>"$dir/workers"
	wait_until has_lines "$dir/workers" 2
	expect_told 'len(groups), len(groups[0]["members"])' '(1, 2)'
	id=$(told 'groups[0]["id"], sorted(m["inode"] for m in groups[0]["members"])')
	while read -r fds for_pid pid; do
		[[ $fds == 1 && $for_pid == "$pid" ]] || complain "LISTEN_FDS $fds of $for_pid in $pid"
	done <"$dir/workers"
	read -r _ first _ <"$dir/workers"
	kill -KILL "$first"
	wait_until has_lines "$dir/workers" 3
	# The same sockets, in the same group.
	expect_told 'groups[0]["id"], sorted(m["inode"] for m in groups[0]["members"])' "$id"
	kill -TERM "$runner"
	wait "$runner" || complain "run ended with $?"
	pids=$(pgrep -x sleep)
	[[ -z $pids ]] || complain "workers are left: $pids"
	expect_told groups '[]'
}

monitor() {
	"$SGCTL" monitor --json >"$dir/events" &
	# It has begun when it has seen something.
	try_form() {
		"$BIN/reuse_workers" >/dev/null 2>&1
		[[ -s $dir/events ]]
	}
	wait_until try_form
	seen_all() {
		local event
		for event in group-add member-add member-del group-del; do
			grep -q "\"$event\"" "$dir/events" || return 1
		done
	}
	wait_until seen_all
	python3 - "$dir/events" <<-'EOF' || complain "the events are wrong: $(<"$dir/events")"
		import json, sys
		events = [json.loads(line) for line in open(sys.argv[1]).read().splitlines()]
		names = [event["event"] for event in events]
		assert set(names) <= {"group-add", "member-add", "member-del", "group-del"}, names
		assert names.count("member-add") >= 2 * names.count("group-add"), names
	EOF
}

example_c() {
	expect_status 0 "$BIN/reuse_workers"
	expect_told groups '[]'
}

example_python() {
	expect_status 0 python3 "$CHECKOUT/examples/python/workers.py"
	[[ $out == *group* ]] || complain "says nothing: $out"
}

example_rust() {
	expect_status 0 "$BIN/workers"
	[[ $out == *group* ]] || complain "says nothing: $out"
}

# --- Running them.

if [[ ${1-} == --inside ]]; then
	dir=$3
	ip link set lo up
	"$2"
	exit 0
fi

echo "TAP version 13"
if [[ ! -x $SGCTL ]]; then
	echo "1..0 # SKIP $SGCTL is not built"
	exit 4
fi
echo "1..${#TESTS[@]}"
number=0 failed=0
for test in "${TESTS[@]}"; do
	number=$((number + 1))
	folder=$(mktemp -d)
	if timeout 200 unshare --net --pid --fork --kill-child --mount-proc \
		"$0" --inside "$test" "$folder" </dev/null 2>"$folder/stderr"; then
		echo "ok $number sgctl.$test"
	else
		sed 's/^/# /' "$folder/stderr" | head -n 20
		echo "not ok $number sgctl.$test"
		failed=1
	fi
	rm -rf "$folder"
done
exit $failed
