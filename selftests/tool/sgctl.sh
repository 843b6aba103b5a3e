#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The tool, on a real nginx and on simple workers: show, attach, detach, set, run;
# what it says and returns when something is wrong; and the examples.

# The tests are called by name, which shellcheck cannot follow; a port is one word.
# shellcheck disable=SC2317,SC2016,SC2086

set -uo pipefail

# shellcheck source=selftests/lib/sgctl.bash
. "$(dirname "$(readlink -f "$0")")/../lib/sgctl.bash"

TESTS=(show_nothing usage_errors failures attach_nginx attach_some attach_settings
	detach_group attach_and_mptcp set_settings set_weights set_errors run_workers
	run_settings example_c example_python example_rust)

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
	expect_out 'adopt 1m'
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
	expect_true 'it is not None'
	id=$(told 'groups[0]["id"]')
	python3 -SI -c "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
s.bind(('127.0.0.2', $PORT)); s.listen(5); time.sleep(1000)" &
	wait_until has_listeners 5
	# It is of another program; more of that is in sgctl_attach.sh.
	expect_status 1 "$SGCTL" attach --port $PORT
	expect_told 'len(groups[0]["members"])' 4
	expect_status 0 "$SGCTL" attach --port $PORT --mixed-programs
	expect_told 'len(groups), len(groups[0]["members"]), groups[0]["id"]' "(1, 5, $id)"
}

# The settings are the whole group's, and stay when they are not given.
attach_settings() {
	local does='[(g["policy"], g["when_full"], g["stall_ms"], g["rewrite"]) for g in groups]'
	start_nginx
	expect_status 0 "$SGCTL" attach --port $PORT --policy balance --stall 2s --dry-run
	expect_told groups '[]'
	expect_status 0 "$SGCTL" attach --port $PORT --policy balance --stall 2s
	expect_told "$does" "[('balance', 'drop', 2000, False)]"
	expect_status 0 "$SGCTL" attach --port $PORT --when-full reset --rewrite on --dry-run
	expect_told "$does" "[('balance', 'drop', 2000, False)]"
	expect_status 0 "$SGCTL" attach --port $PORT --when-full reset --rewrite on
	expect_told "$does" "[('balance', 'reset', 2000, True)]"
	expect_status 0 "$SGCTL" attach --port $PORT --policy overflow --stall off --json
	expect_told "$does" "[('overflow', 'reset', 0, True)]"
	expect_status 0 "$SGCTL" attach --port $PORT
	expect_told "$does" "[('overflow', 'reset', 0, True)]"
	expect_served
}

detach_group() {
	start_nginx
	expect_status 0 "$SGCTL" attach --port $PORT
	expect_status 0 "$SGCTL" detach --drain --group "$(told 'groups[0]["id"]')"
	expect_told groups '[]'
}

# What cannot be taken is told, and why.
attach_and_mptcp() {
	python3 -SI -c "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
s.bind(('127.0.0.1', $PORT)); s.listen(5); time.sleep(1000)" &
	wait_until has_listeners 1
	expect_status 1 "$SGCTL" attach --port $PORT
	[[ $err == *MPTCP* ]] || complain "does not name MPTCP: $err"
	expect_told groups '[]'
}

set_settings() {
	local id does='(g["policy"], g["when_full"], g["stall_ms"], g["rewrite"])'
	start_listeners 2 8
	expect_status 0 "$SGCTL" attach --port $PORT
	id=$(told 'groups[0]["id"]')
	does="[$does for g in groups]"
	expect_told "$does" "[('overflow', 'drop', 100, False)]"
	expect_status 0 "$SGCTL" set --group "$id" --policy balance
	expect_out "group $id: policy balance"
	expect_told "$does" "[('balance', 'drop', 100, False)]"
	expect_status 0 "$SGCTL" set --group "$id" --when-full reset
	expect_out "group $id: when full reset"
	expect_told "$does" "[('balance', 'reset', 100, False)]"
	expect_status 0 "$SGCTL" set --group "$id" --stall '1s 500ms'
	expect_out "group $id: stall 1s 500ms"
	expect_told "$does" "[('balance', 'reset', 1500, False)]"
	expect_status 0 "$SGCTL" set --group "$id" --rewrite on
	expect_out "group $id: rewrite on"
	expect_told "$does" "[('balance', 'reset', 1500, True)]"
	expect_status 0 "$SGCTL" set --group "$id" --policy overflow --when-full drop \
		--stall off --rewrite off --json
	expect_json "{'group': $id, 'policy': 'overflow', 'when_full': 'drop', 'stall_ms': 0,
		'rewrite': False, 'members': []}"
	expect_told "$does" "[('overflow', 'drop', 0, False)]"
	expect_status 0 "$SGCTL" set --group "$id" --adopt 5m
	expect_out "group $id: adopt 5m"
	expect_told '[g["adopt_ms"] for g in groups]' '[300000]'
}

# By cookie, by inode, by address; several at once, and with a setting.
set_weights() {
	local id first weights='[m["weight"] for m in groups[0]["members"]]'
	start_listeners 3 8
	expect_status 0 "$SGCTL" attach --port $PORT
	id=$(told 'groups[0]["id"]')
	expect_status 0 "$SGCTL" set --group "$id" --weight 7 \
		--member "$(told 'groups[0]["members"][0]["cookie"]')"
	expect_told "$weights" '[7, 1, 1]'
	first=$(told 'groups[0]["members"][0]["inode"]')
	expect_out "group $id member 127.0.0.1:$PORT (inode $first): weight 7"
	expect_status 0 "$SGCTL" set --group "$id" --weight 65535 --member 127.0.0.2:$PORT
	expect_told "$weights" '[7, 65535, 1]'
	expect_status 0 "$SGCTL" set --group "$id" --weight 3 --stall 1s \
		--member "inode:$first" --member 127.0.0.3:$PORT --json
	expect_told "$weights" '[3, 65535, 3]'
	expect_told 'groups[0]["stall_ms"]' 1000
	expect_json "{'group': $id, 'stall_ms': 1000, 'members': [
		{**{k: m[k] for k in ('cookie', 'inode', 'address', 'port')}, 'weight': 3}
		for m in $(told 'groups[0]["members"]') if m['address'] != '127.0.0.2']}"
}

set_errors() {
	local id
	expect_status 2 "$SGCTL" set --group 1
	expect_status 2 "$SGCTL" set --policy balance
	expect_status 2 "$SGCTL" set --group 1 --policy fair
	expect_status 2 "$SGCTL" set --group 1 --when-full wait
	expect_status 2 "$SGCTL" set --group 1 --stall 61s
	expect_status 2 "$SGCTL" set --group 1 --rewrite maybe
	expect_status 2 "$SGCTL" set --group 1 --weight 2
	expect_status 2 "$SGCTL" set --group 1 --member 127.0.0.1:$PORT --weight 0
	start_listeners 2 8
	expect_status 0 "$SGCTL" attach --port $PORT
	id=$(told 'groups[0]["id"]')
	expect_status 1 "$SGCTL" set --group $((id + 76)) --policy balance
	expect_err "no group $((id + 76))"
	expect_status 1 "$SGCTL" set --group $((id + 76)) --member 1 --weight 2
	expect_err "no group $((id + 76))"
	# Nothing is changed when one of several is wrong.
	expect_status 1 "$SGCTL" set --group "$id" --policy balance --weight 2 \
		--member 127.0.0.1:$PORT 127.0.0.9:$PORT
	expect_err "no member at 127.0.0.9:$PORT"
	expect_status 1 setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$SGCTL" set --group "$id" --policy balance
	expect_err "as root"
	expect_told 'groups[0]["policy"], {m["weight"] for m in groups[0]["members"]}' \
		"('overflow', {1})"
}

run_workers() {
	local runner id first pids
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

run_settings() {
	local runner
	"$SGCTL" run --workers 2 --listen 127.0.0.1:$PORT --policy balance --stall 3s -- \
		sh -c 'echo >>"$1"; exec sleep 1000' sh "$dir/workers" &
	runner=$!
	: >>"$dir/workers"
	wait_until has_lines "$dir/workers" 2
	expect_told 'groups[0]["policy"], groups[0]["stall_ms"], groups[0]["when_full"]' \
		"('balance', 3000, 'drop')"
	kill -TERM "$runner"
	wait "$runner" || complain "run ended with $?"
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

run_tests "$@"
