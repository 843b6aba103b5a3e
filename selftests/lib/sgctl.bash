# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the tests of the tool share: waiting, asking, servers, and running each
# test as its script again, in network and process namespaces of its own, which
# end with all their processes. SG_BIN names the folder of the programs.
#
# A script names its TESTS, which are functions, and ends with: run_tests "$@".

# The tests are called by name, which shellcheck cannot follow.
# shellcheck disable=SC2317

CHECKOUT=$(dirname "$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")")
BIN=${SG_BIN:-$CHECKOUT/build/bin}
SGCTL=$BIN/sgctl
PORT=8080
PATIENCE=90

complain() {
	echo "# $*"
	exit 1
}

# Nothing ever comes by this. A program is not started for a pause, nor for what is looked at
# again and again below: in an emulated machine most of the time would go there.
exec {SG_NOTHING}<> <(:)

pause() {
	read -rt 0.05 -u "$SG_NOTHING" || true
}

# wait_until COMMAND… - until it succeeds.
wait_until() {
	local end=$((SECONDS + PATIENCE))
	until "$@"; do
		((SECONDS < end)) || complain "in vain: $*"
		pause
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

# ask_python KIND EXPRESSION FILE - what it says of the file, see evaluate.py.
ask_python() {
	local answer
	printf '%s\n%s\n%s' "$3" "$1" "$2" >"$dir/question"
	echo "$dir" >"$SG_PYTHON"
	read -r answer <&"$SG_REPLY"
	printf '%s\n' "$answer"
	[[ $answer != '! '* ]]
}

# told EXPRESSION - what Python makes of `show --json`, which is `groups`.
told() {
	"$SGCTL" show --json >"$dir/told" && ask_python told "$1" "$dir/told"
}

expect_told() {
	local seen
	seen=$(told "$1") || complain "show --json is no JSON"
	[[ $seen == "$2" ]] || complain "$1 is $seen, not $2"
}

# expect_out TEXT, expect_err TEXT - what the last command said.
expect_out() {
	[[ $out == *"$1"* ]] || complain "not said: $1: $out"
}

expect_err() {
	[[ $err == *"$1"* ]] || complain "not said: $1: $err"
}

# expect_check STATEMENTS FILE - Python finds no fault: `lines` are the file's, of which each that is
# JSON is in `events`, and `json` and `re` are there.
expect_check() {
	[[ $(ask_python check "$1" "$2") == True ]] ||
		complain "$(ask_python check "$1" "$2"): $(<"$2")"
}

# expect_json EXPRESSION - what the last command printed is this value of Python.
expect_json() {
	[[ $(ask_python json "$1" "$dir/out") == True ]] || complain "it is not $1: $out"
}

# expect_true EXPRESSION - Python finds it so, where `it` is the JSON that the last
# command printed, and `lines` its lines.
expect_true() {
	[[ $(ask_python true "$1" "$dir/out") == True ]] || complain "it is not so that $1: $out"
}

# has_listeners COUNT - whether so many sockets listen at the port, of both families.
has_listeners() {
	local found=0 hex line
	printf -v hex ':%04X' "$PORT"
	while read -ra line; do
		[[ ${line[1]} == *"$hex" && ${line[3]} == 0A ]] && found=$((found + 1))
	done <<<"$(</proc/net/tcp)
$(</proc/net/tcp6)"
	((found == $1))
}

# has_lines FILE COUNT, has_text TEXT FILE - at least so many, or this somewhere.
has_lines() {
	local lines
	mapfile -t lines <"$1"
	((${#lines[@]} >= $2))
}

has_text() {
	local all
	[[ -e $2 ]] && { read -rd '' all <"$2" || true; } && [[ $all == *"$1"* ]]
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

# start_listeners COUNT BACKLOG - at 127.0.0.1, 127.0.0.2 and so on; they never accept.
start_listeners() {
	python3 -SI -c "
import socket, time
sockets = []
for host in range(1, $1 + 1):
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.bind((f'127.0.0.{host}', $PORT)); sock.listen($2); sockets.append(sock)
time.sleep(1000)" &
	wait_until has_listeners "$1"
}

# start_outcome NAME - makes one of lib/outcomes.py; its line is left in $made, as an array.
start_outcome() {
	: >"$dir/outcome"
	PYTHONDONTWRITEBYTECODE=1 python3 "$CHECKOUT/selftests/lib/outcomes.py" --stay "$1" \
		>"$dir/outcome" &
	wait_until has_lines "$dir/outcome" 1
	# shellcheck disable=SC2034
	read -ra made <"$dir/outcome"
}

# start_watching OPTION… - monitor, with its output in $dir/events, when it listens.
start_watching() {
	"$SGCTL" monitor "$@" >"$dir/events" 2>"$dir/monitor" &
	watcher=$!
	wait_until has_text listening "$dir/monitor"
}

# saw TEXT… - whether each is in the events.
saw() {
	local text
	for text in "$@"; do
		has_text "$text" "$dir/events" || return 1
	done
}

# start_export - with the page's address in $url.
start_export() {
	"$SGCTL" export --listen 127.0.0.1:0 2>"$dir/export" &
	watcher=$!
	wait_until has_text /metrics "$dir/export"
	url=$(sed -n 's/.*\(http:.*\)/\1/p' "$dir/export")
}

fetch() {
	curl -s --max-time 60 -o "$dir/out" -w '%{http_code} %{content_type}' "$@"
}

# --- Running them.

# inside TEST FOLDER - runs a test in its namespaces.
inside() {
	dir=$2
	mkfifo "$dir/reply"
	# Open for all questions. If each opened it, evaluate.py could still have the pipe open for the
	# answer before: its close() would then end the pipe before the new answer.
	exec {SG_REPLY}<>"$dir/reply"
	ip link set lo up
	"$1"
	exit 0
}

run_tests() {
	local suite number=0 failed=0 test folder pipes
	[[ ${1-} != --inside ]] || inside "$2" "$3"
	suite=$(basename "$0" .sh)
	echo "TAP version 13"
	if [[ ! -x $SGCTL ]]; then
		echo "1..0 # SKIP $SGCTL is not built"
		exit 4
	fi
	echo "1..${#TESTS[@]}"
	pipes=$(mktemp -d)
	export SG_PYTHON=$pipes/python
	mkfifo "$SG_PYTHON"
	python3 -SI "$CHECKOUT/selftests/lib/evaluate.py" "$SG_PYTHON" >/dev/null 2>&1 &
	# shellcheck disable=SC2064 # these ones
	trap "kill $!; rm -rf '$pipes'" EXIT
	for test in "${TESTS[@]}"; do
		number=$((number + 1))
		folder=$(mktemp -d)
		if timeout 600 unshare --net --pid --fork --kill-child --mount-proc \
			"$0" --inside "$test" "$folder" </dev/null >"$folder/stdout" 2>"$folder/stderr"; then
			echo "ok $number $suite.$test"
		else
			sed 's/^/# /' "$folder/stdout" "$folder/stderr" | head -n 40
			echo "not ok $number $suite.$test"
			failed=1
		fi
		rm -rf "$folder"
		# One that was killed may have left it unloaded, which others need.
		[[ -z ${SG_MODULE-} || -e /sys/module/service_group ]] || insmod "$SG_MODULE"
	done
	exit $failed
}
