#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# What `sgctl attach` takes to be one service, and what it groups only when told to:
# sockets of several users and programs, and listeners at loopback addresses; and that a group is of
# one device.
#
# The decision itself is tested in tools/sgctl/src/mixing_tests.rs; here are the facts, from
# the kernel and from /proc, and that a refusal changes nothing.

# The tests are called by name, which shellcheck cannot follow; a port is one word.
# shellcheck disable=SC2317,SC2086

set -uo pipefail

# shellcheck source=selftests/lib/sgctl.bash
. "$(dirname "$(readlink -f "$0")")/../lib/sgctl.bash"

TESTS=(instances_of_one_program two_users two_programs two_of_an_interpreter loopback
	dual_stack all_at_once joining_a_group others_of_the_group users_after_setuid
	handed_over_by_another two_devices one_of_a_device not_to_be_seen not_to_be_traced container_of_the_host container_of_its_own)

SHOP=10.9.9.1
SECOND=10.9.9.2
USER=1001
YAMA=/proc/sys/kernel/yama/ptrace_scope
OTHER_USER=1002

# The programs, which listen and never accept: NAME ADDRESS[%DEVICE]… [--become=USER].
make_programs() {
	chmod 755 "$dir"
	: >"$dir/ready"
	chmod 666 "$dir/ready"
	ip address add $SHOP/32 dev lo
	ip address add $SECOND/32 dev lo
	cat >"$dir/shop.py" <<-EOF
		import os, socket, sys, time
		hosts = [word for word in sys.argv[1:] if not word.startswith("--become=")]
		sockets = []
		for host in hosts:
		    host, _, device = host.partition("%")
		    family = socket.AF_INET6 if ":" in host else socket.AF_INET
		    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
		    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
		    if device:
		        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
		    sock.bind((host, $PORT))
		    sock.listen(8)
		    sockets.append(sock)
		for user in sys.argv[len(hosts) + 1:]:
		    os.setresuid(*3 * [int(user.partition("=")[2])])
		with open("$dir/ready", "a") as ready:
		    print(os.getpid(), file=ready)
		time.sleep(1000)
	EOF
	cp "$dir/shop.py" "$dir/admin.py"
	running=0
}

# start COMMAND… - one of them, until it listens; its process is left in $pid.
start() {
	local pids
	"$@" &
	running=$((running + 1))
	wait_until has_lines "$dir/ready" $running
	mapfile -t pids <"$dir/ready"
	pid=${pids[-1]}
}

shop() {
	start python3 "$dir/shop.py" "$@"
}

admin() {
	start python3 "$dir/admin.py" "$@"
}

# as USER COMMAND… - with the user's own sockets.
as() {
	setpriv --reuid "$1" --regid "$1" --clear-groups "${@:2}"
}

shop_of() {
	start as "$1" python3 "$dir/shop.py" "${@:2}"
}

# expect_refusal OPTION… - nothing is grouped, however it is asked for, and one sentence names
# what is needed.
expect_refusal() {
	local before how option quoted
	before=$(told groups)
	for how in '' --dry-run --json '--policy balance --stall 2s'; do
		expect_status 1 "$SGCTL" attach --port $PORT $how
		[[ -n $err && $err != *$'\n'* ]] || complain "it is not one sentence: $err"
		for option; do
			expect_err "$option"
		done
		expect_told groups "$before"
	done
	[[ -z $out ]] || complain "it says so on its output: $out"
	printf -v quoted "'%s'," "$@"
	expect_status 1 "$SGCTL" attach --port $PORT --json
	expect_true "it['needs'] == [$quoted] and it['action'] == 'none'"
	expect_true "{s['status'] for s in it['sockets']} <= {'left', 'member'}"
	expect_true "all(s['pids'] and s['programs'] and 'uid' in s for s in it['sockets'])"
}

# expect_formed COUNT OPTION… - a group of so many sockets.
expect_formed() {
	expect_status 0 "$SGCTL" attach --port $PORT "${@:2}"
	expect_told '[len(group["members"]) for group in groups]' "[$1]"
}

has_members() {
	[[ $(told 'len(groups[0]["members"])') == "$1" ]]
}

# --- The tests.

instances_of_one_program() {
	make_programs
	shop $SHOP
	shop $SHOP
	shop 0.0.0.0
	expect_formed 3
}

two_users() {
	make_programs
	shop_of $USER $SHOP
	shop_of $OTHER_USER $SECOND
	expect_refusal --mixed-users
	expect_err "user $USER"
	expect_err "user $OTHER_USER"
	expect_err "process $pid"
	expect_status 1 "$SGCTL" attach --port $PORT --mixed-programs --with-loopback
	expect_told groups '[]'
	expect_formed 2 --mixed-users
}

two_programs() {
	make_programs
	start_nginx
	shop 127.0.0.2
	expect_refusal --mixed-programs
	expect_err nginx
	expect_err shop.py
	expect_err "process $pid"
	expect_status 1 "$SGCTL" attach --port $PORT --mixed-users --with-loopback
	expect_told groups '[]'
	expect_formed 5 --mixed-programs
	expect_served
}

two_of_an_interpreter() {
	make_programs
	shop $SHOP
	admin 0.0.0.0
	expect_refusal --mixed-programs
	expect_err shop.py
	expect_err admin.py
	expect_formed 2 --mixed-programs
}

# The same program, whose page for administrators is for this machine only.
loopback() {
	make_programs
	shop $SHOP 127.0.0.1
	expect_refusal --with-loopback
	expect_err 127.0.0.1:$PORT
	expect_err $SHOP:$PORT
	shop $SHOP
	expect_status 0 "$SGCTL" attach --port $PORT --address $SHOP
	expect_told '{member["address"] for member in groups[0]["members"]}' "{'$SHOP'}"
	# Later, too.
	expect_refusal --with-loopback
	expect_formed 3 --with-loopback
	expect_formed 3
}

dual_stack() {
	make_programs
	shop :: 0.0.0.0 $SHOP
	expect_formed 3
	expect_status 0 "$SGCTL" detach --port $PORT
	shop ::1
	expect_refusal --with-loopback
	expect_err '[::1]'
	shop 127.0.0.1
	expect_refusal --with-loopback
	expect_formed 5 --with-loopback
}

all_at_once() {
	make_programs
	start as $USER python3 "$dir/admin.py" 127.0.0.1
	shop_of $OTHER_USER $SHOP $SHOP
	expect_refusal --mixed-users --mixed-programs --with-loopback
	expect_status 1 "$SGCTL" attach --port $PORT --mixed-users --mixed-programs
	expect_told groups '[]'
	expect_formed 3 --mixed-users --mixed-programs --with-loopback
}

# Members count as well as what is new.
joining_a_group() {
	make_programs
	shop $SHOP 0.0.0.0
	# What takes the place of a member is not asked about.
	expect_formed 2 --adopt off
	admin 0.0.0.0
	expect_refusal --mixed-programs
	expect_err "in group $(told 'groups[0]["id"]')"
	expect_formed 3 --mixed-programs
	# What is in a group stays there.
	expect_formed 3
	kill "$pid"
	wait_until has_members 2
	shop 0.0.0.0
	expect_formed 3
}

# Those that --pid does not choose are members all the same.
others_of_the_group() {
	local first
	make_programs
	admin $SHOP
	first=$pid
	shop 0.0.0.0 0.0.0.0
	expect_formed 2 --pid "$pid" --adopt off
	expect_status 1 "$SGCTL" attach --port $PORT --pid "$first" --pid "$pid"
	expect_err --mixed-programs
	expect_formed 3 --pid "$first" --pid "$pid" --mixed-programs
	# Of shop.py again, and what it chooses is of one program; the group is not.
	shop 0.0.0.0
	expect_status 1 "$SGCTL" attach --port $PORT --address 0.0.0.0
	expect_err admin.py
	expect_told 'len(groups[0]["members"])' 3
	expect_formed 4 --address 0.0.0.0 --mixed-programs
}

# As nginx does: the sockets are of the user that made them.
users_after_setuid() {
	make_programs
	shop $SHOP --become=$USER
	shop 0.0.0.0 --become=$OTHER_USER
	expect_formed 2
}

# A process that holds both, but runs neither, is seen with both of them.
handed_over_by_another() {
	make_programs
	cat >"$dir/starter.py" <<-EOF
		import os, socket, subprocess, sys, time
		for host, name in ("$SHOP", "shop"), ("0.0.0.0", "admin"):
		    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
		    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
		    sock.bind((host, $PORT))
		    sock.listen(8)
		    sock.set_inheritable(True)
		    subprocess.Popen([sys.executable, f"$dir/{name}.py"], close_fds=False)
		    sock.set_inheritable(False)
		    globals()[name] = sock
		time.sleep(1000)
	EOF
	python3 "$dir/starter.py" &
	wait_until has_lines "$dir/ready" 2
	expect_refusal --mixed-programs
	expect_err starter.py
	expect_formed 2 --mixed-programs
}

make_vrfs() {
	ip link add red type vrf table 10
	ip link add blue type vrf table 11
	ip link set red up
	ip link set blue up
}

# The kernel takes no two of them into one group, so one is to be chosen, whatever else is allowed.
two_devices() {
	make_programs
	make_vrfs
	shop 0.0.0.0%red 0.0.0.0%blue 0.0.0.0%red ::%blue
	expect_refusal --device
	expect_err '0.0.0.0:8080 on red'
	expect_err 'choose with --device blue or --device red'
	expect_status 1 "$SGCTL" attach --port $PORT --mixed-users --mixed-programs --with-loopback
	expect_told groups '[]'
	expect_status 1 "$SGCTL" attach --port $PORT --device green
	expect_err 'none of the chosen sockets'
	expect_status 0 "$SGCTL" attach --port $PORT --device red --dry-run --json
	expect_true '[(s["device"], s["status"]) for s in it["sockets"]] == [("red", "added")] * 2'
	expect_formed 2 --device red --adopt off
	# What would join counts, too.
	expect_refusal --device
	shop 0.0.0.0%red
	expect_refusal --device
	expect_formed 3 --device red
	expect_status 0 "$SGCTL" attach --port $PORT --device blue
	shop $SHOP $SHOP
	expect_status 0 "$SGCTL" attach --port $PORT --no-device
	expect_told '[{m["device"] for m in group["members"]} for group in groups]' \
		"[{'red'}, {'blue'}, {None}]"
	expect_status 0 "$SGCTL" show
	expect_true '[line.split()[1] for line in lines if line.startswith(" ADDRESS")] == [
		"DEVICE", "DEVICE", "INODE"]'
	expect_true '[line.split()[1] for line in lines if ":8080" in line][:5] == [
		"red", "red", "red", "blue", "blue"]'
}

# A dry run says what the real one does, also of what cannot be a group.
one_of_a_device() {
	local how
	make_programs
	make_vrfs
	shop 0.0.0.0%red $SHOP $SHOP
	expect_refusal --device
	expect_err 'choose with --no-device or --device red'
	for how in '' --dry-run; do
		expect_status 1 "$SGCTL" attach --port $PORT --device red $how
		expect_err 'the only listening socket'
		expect_err "0.0.0.0:$PORT on red"
	done
}

# A user that may not look at a process does not get its socket, and the others are grouped.
not_to_be_seen() {
	make_programs
	shop_of $OTHER_USER $SHOP
	shop_of $USER $SECOND $SECOND
	expect_status 0 as $USER "$SGCTL" attach --port $PORT
	expect_err "$SHOP:$PORT"
	expect_err 'is not taken'
	expect_told '[len(group["members"]) for group in groups]' '[2]'
	# A user that may look at all of them is asked about that one.
	expect_refusal --mixed-users
}

# forbidden COMMAND… - cannot borrow descriptors, as with Yama's ptrace_scope at 3, which could not be
# lowered again; what that is can be read in its place, if the kernel has Yama.
forbidden() {
	echo 3 >"$dir/scope"
	cat >"$dir/forbidden.py" <<-EOF
		import ctypes, os, struct, sys
		# BPF: pidfd_getfd() (438) fails with EPERM, all else is allowed.
		steps = [(0x20, 0, 0, 0), (0x15, 0, 1, 438), (6, 0, 0, 0x50001), (6, 0, 0, 0x7fff0000)]
		code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
		program = struct.pack("@HP", len(steps), ctypes.addressof(code))
		libc = ctypes.CDLL(None)
		if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
		    sys.exit("no seccomp")
		os.execv(sys.argv[1], sys.argv[1:])
	EOF
	# shellcheck disable=SC2016
	unshare --mount sh -c '[ ! -e "$1" ] || mount --bind "$2" "$1"; shift 2; exec "$@"' sh \
		"$YAMA" "$dir/scope" python3 -SI "$dir/forbidden.py" "$@"
}

not_to_be_traced() {
	make_programs
	shop $SHOP $SECOND
	expect_status 1 forbidden "$SGCTL" attach --port $PORT
	if [[ -e $YAMA ]]; then
		expect_err 'kernel.yama.ptrace_scope is 3'
	else
		expect_err 'may not be traced'
	fi
	expect_status 0 "$SGCTL" attach --port $PORT
}

# A container with the host's network: the same path, another file.
container_of_the_host() {
	make_programs
	shop $SHOP
	mkdir "$dir/image"
	# shellcheck disable=SC2016
	start unshare --mount sh -c 'set -e
		mount -t tmpfs none "$1/image"
		python=$(readlink -f "$(command -v python3)")
		cp "$python" "$1/image/python3"
		mount --bind "$1/image/python3" "$python"
		exec python3 "$1/shop.py" 0.0.0.0' sh "$dir"
	expect_refusal --mixed-programs
	expect_formed 2 --mixed-programs
}

# A container with its own network is not seen, and is reached from within.
container_of_its_own() {
	make_programs
	shop $SHOP $SHOP
	start unshare --net sh -c 'ip link set lo up; exec "$@"' sh \
		python3 "$dir/admin.py" 127.0.0.1 127.0.0.2
	expect_status 1 "$SGCTL" attach --port $PORT --pid "$pid"
	expect_err 'another network namespace'
	expect_formed 2
	expect_status 0 nsenter --net --target "$pid" "$SGCTL" attach --port $PORT
	expect_out 'formed of 2 sockets'
}

run_tests "$@"
