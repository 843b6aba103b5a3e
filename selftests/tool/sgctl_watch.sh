#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The tool's ways of watching: show, monitor, why, top and export.

# The tests are called by name, which shellcheck cannot follow; a port is one word.
# shellcheck disable=SC2317,SC2016,SC2086

set -uo pipefail

# shellcheck source=selftests/lib/sgctl.bash
. "$(dirname "$(readlink -f "$0")")/../lib/sgctl.bash"

TESTS=(show_columns show_rescued monitor monitor_changes monitor_words monitor_reloaded
	monitor_stopped why_redirected why_gone why_dropped why_nothing top_once top_live
	top_signal top_reloaded top_errors export_page export_errors without_module)

# --- The tests.

# Each column, of a connection that stayed and one that was redirected.
show_columns() {
	start_outcome redirected
	expect_status 0 "$SGCTL" show
	expect_out "policy overflow, when full drop, stall off, rewrite off, adopt off"
	expect_true '[line.split() for line in lines[1:5]] == [
		["ADDRESS", "INODE", "STATE", "QUEUED", "HALF-OPEN", "BACKLOG", "WEIGHT", "ACCEPTED",
		 "HOME", "IN", "OUT", "DROPPED", "RESCUED"],
		["127.0.0.1:8080", "'"${made[2]}"'", *"listening 1 0 0 1 0 1 0 1 0 +0 -0".split()],
		["127.0.0.2:8080", "'"${made[3]}"'", *"listening 1 0 8 1 0 0 1 0 0 +0 -0".split()],
		["total", *"0 1 1 1 0 +0 -0".split()]]'
	expect_status 0 "$SGCTL" show --json
	expect_true 'set(it[0]) == {"id", "uid", "policy", "when_full", "stall_ms", "rewrite",
		"adopt_ms", "adopted", "not_adopted", "not_adopted_reason", "counters", "members"}'
	expect_true '[set(m) for m in it[0]["members"]] == 2 * [{"inode", "cookie", "family",
		"address", "port", "device", "state", "queued", "half_open", "backlog", "weight", "adopted", "counters"}]'
	expect_true '[(m["family"], m["address"], m["port"], m["counters"]["redirected_in"],
		m["counters"]["redirected_queue_full"]) for m in it[0]["members"]] ==
		[("ipv4", "127.0.0.1", 8080, 0, 1), ("ipv4", "127.0.0.2", 8080, 1, 0)]'
}

show_rescued() {
	start_outcome rescued
	expect_status 0 "$SGCTL" show
	expect_out "stall 500ms"
	expect_true '[line.split()[2:] for line in lines[2:4]] == [
		"stalled 0 0 8 1 0 1 0 0 0 +0 -1".split(), "listening 0 0 8 1 1 0 0 0 0 +1 -0".split()]'
	expect_status 0 "$SGCTL" show --json
	expect_true '[(m["counters"]["rescued_stalled"], m["counters"]["rescued_out"],
		m["counters"]["stalls"]) for m in it[0]["members"]] == [(1, 1, 1), (0, 0, 0)]'
}

monitor() {
	start_watching --json
	"$BIN/reuse_workers" >/dev/null 2>&1
	wait_until saw '"group-del"'
	expect_check '
names = [event["event"] for event in events]
assert len(events) == len(lines), lines
assert names[:3] == ["group-add", "member-add", "member-add"], names
assert names.count("member-del") == 2 and names[-1] == "group-del", names' "$dir/events"
	kill -TERM "$watcher"
	wait "$watcher" || complain "monitor ended with $?"
}

# What changes, a worker that hangs, and that is back.
monitor_changes() {
	start_watching --json
	start_outcome stalled
	expect_status 0 "$SGCTL" set --group "${made[4]}" --when-full reset \
		--member "inode:${made[2]}" --weight 5
	wait_until saw '"member-change"'
	expect_check '
names = [event["event"] for event in events]
assert len(events) == len(lines), lines
assert names == ["group-add", "member-add", "group-change", "member-stall",
                 "member-ready", "group-change", "member-change"], names
assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", e["time"]) for e in events), events
stall, ready, changed, weight = events[3:]
for event, state, queued in (stall, "stalled", 1), (ready, "listening", 0):
    member = event["member"]
    assert (member["state"], member["queued"]) == (state, queued), event
    assert member["inode"] == '"${made[2]}"', event
assert changed["group"]["when_full"] == "reset", changed
assert changed["group"]["stall_ms"] == 500, changed
assert weight["member"]["weight"] == 5, weight' "$dir/events"
}

monitor_words() {
	local member
	start_watching
	start_outcome stalled
	member="group ${made[4]} member 127.0.0.1:$PORT (inode ${made[2]}, cookie ${made[5]})"
	wait_until saw "Z group ${made[4]} added" "$member added" \
		"group ${made[4]} changed: policy overflow, when full drop, stall 500ms, rewrite off" \
		"$member stalled: 1 of 8 queued" "$member ready: it accepts again"
}

unload() {
	wait_until rmmod service_group 2>/dev/null
}

# It waits for a module that is unloaded, and goes on with the next one.
monitor_reloaded() {
	local words=$dir/words second
	# It is emptied meanwhile.
	"$SGCTL" monitor >>"$words" 2>"$dir/second" &
	second=$!
	wait_until has_text listening "$dir/second"
	start_watching --json
	for _ in 1 2; do
		unload
		wait_until has_text "Z the module was unloaded" "$words"
		insmod "$SG_MODULE"
		: >"$words"
		"$BIN/reuse_workers" >/dev/null 2>&1
		wait_until has_text "removed" "$words"
	done
	kill -TERM "$watcher" "$second"
	wait "$watcher" || complain "monitor ended with $?"
	wait "$second" || complain "monitor ended with $?"
	expect_check '
names = [event["event"] for event in events]
assert len(events) == len(lines), lines
assert names[:3] == ["module-unload", "module-load", "group-add"], names
for name in "module-unload", "module-load", "group-add", "group-del":
    assert names.count(name) == 2, names
assert names[-1] == "group-del", names
assert set(events[0]) == {"time", "event"} == set(events[1]), events' "$dir/events"
}

# What has come and gone while it did not read is told in its order.
monitor_stopped() {
	start_watching --json
	kill -STOP "$watcher"
	for _ in 1 2; do
		unload
		insmod "$SG_MODULE"
	done
	kill -CONT "$watcher"
	wait_until has_lines "$dir/events" 4
	"$BIN/reuse_workers" >/dev/null 2>&1
	wait_until saw '"group-del"'
	expect_check '
names = [event["event"] for event in events]
assert names[:5] == 2 * ["module-unload", "module-load"] + ["group-add"], names' "$dir/events"
}

# Where it went, and why; IPv4 in IPv6 is IPv4.
why_redirected() {
	local home="127.0.0.1:$PORT" taker="127.0.0.2:$PORT"
	start_outcome redirected
	expect_status 0 "$SGCTL" why "${made[0]}" "${made[1]}"
	expect_out " ago a sibling took its SYN, because the member's accept queue was full: from \
$home (inode ${made[2]}) to $taker (inode ${made[3]}), in group ${made[4]}."
	expect_status 0 "$SGCTL" why "[::ffff:127.0.0.1]:$PORT" "[::ffff:127.0.0.1]:${made[1]#*:}"
	expect_out "took its SYN"
	expect_status 0 "$SGCTL" why "${made[0]}" "${made[1]}" --json
	expect_true '0 <= it.pop("age_ms") < 3600000 and it == {
		"local": "'"${made[0]}"'", "peer": "'"${made[1]}"'", "cluster": None,
		"group": '"${made[4]}"',
		"outcome": "redirected", "reason": "queue-full", "moves": 1,
		"home": {"cookie": '"${made[5]}"', "inode": '"${made[2]}"', "address": "127.0.0.1",
			"port": 8080},
		"taker": {"cookie": '"${made[6]}"', "inode": '"${made[3]}"', "address": "127.0.0.2",
			"port": 8080}}'
}

# The listener is no member any more.
why_gone() {
	start_outcome handed
	expect_status 0 "$SGCTL" why "${made[0]}" "${made[1]}"
	expect_out "took over its half-open request, because the member was leaving: from a socket \
that is no member any more (cookie ${made[5]}) to 127.0.0.2:$PORT"
	expect_status 0 "$SGCTL" why "${made[0]}" "${made[1]}" --json
	expect_true 'it["home"] == {"cookie": '"${made[5]}"', "inode": None, "address": None,
		"port": None} and it["outcome"] == "handed"'
}

why_dropped() {
	start_outcome dropped
	expect_status 0 "$SGCTL" why "${made[0]}" "${made[1]}"
	expect_out "its SYN was dropped, because no member had room: it came for 127.0.0.1:$PORT"
	expect_status 0 "$SGCTL" why "${made[0]}" "${made[1]}" --json
	expect_true '(it["outcome"], it["reason"], it["taker"], it["moves"]) ==
		("dropped", "full", None, 0)'
}

why_nothing() {
	expect_status 2 "$SGCTL" why
	expect_status 2 "$SGCTL" why 127.0.0.1:$PORT
	expect_status 2 "$SGCTL" why 127.0.0.1:$PORT 4000
	expect_status 2 "$SGCTL" why 127.0.0.1:$PORT '[::1]:4000'
	expect_err "one address is IPv4, the other IPv6"
	expect_status 1 "$SGCTL" why 127.0.0.1:$PORT 127.0.0.1:4000
	expect_err "no group has a member at port $PORT"
	start_outcome redirected
	expect_status 1 "$SGCTL" why 127.0.0.2:$PORT "${made[1]}"
	expect_err "stayed with the listener"
	expect_status 1 "$SGCTL" why --json 127.0.0.2:$PORT "${made[1]}"
	[[ -z $out ]] || complain "says something: $out"
	# The two were confused.
	expect_status 1 "$SGCTL" why "${made[1]}" "${made[0]}"
	expect_err "no group has a member at port ${made[1]#*:}"
}

top_once() {
	start_outcome redirected
	expect_status 0 "$SGCTL" top --once --interval 100ms
	expect_true 'lines[0] == "sgctl top: 1 group, 2 members, every 100ms"'
	expect_true 'any(line.split()[1:2] == ["'"${made[2]}"'"] for line in lines)'
	expect_true 'not any("\x1b" in line for line in lines)'
	expect_status 0 "$SGCTL" top --once --interval 100ms --json
	expect_true '[set(m["rates"]) for m in it[0]["members"]] == 2 * [{"accepted",
		"redirected_in", "redirected_out", "rescued", "dropped"}]'
	expect_true 'it[0]["rates"]["accepted"] == 0'
	expect_status 1 "$SGCTL" top --once --group 77
	expect_err "no group 77"
}

# start_top TEXT - top on a terminal, whose keys come from descriptor 9, when it shows this.
start_top() {
	mkfifo "$dir/keys"
	exec 9<>"$dir/keys"
	TERM=xterm script -qfec "stty cols 150 rows 20; exec '$SGCTL' top --interval 100ms" \
		"$dir/screen" <"$dir/keys" >/dev/null 2>&1 &
	watcher=$!
	wait_until has_text "$1" "$dir/screen"
}

# start_top_redirected - the same of a group that has redirected a connection.
start_top_redirected() {
	start_outcome redirected
	start_top "port $PORT: overflow"
}

# expect_restored - it ended well, and left the terminal as it was.
expect_restored() {
	wait "$watcher" || complain "top ended with $?: $(<"$dir/screen")"
	grep -q $'\e\[?1049l' "$dir/screen" || complain "it is still on its own screen"
}

# It shows what is new by itself, and quits on q.
top_live() {
	start_top_redirected
	expect_status 0 "$SGCTL" set --group "${made[4]}" --member 127.0.0.1:$PORT --weight 9876
	# Only what differs from the 1 before is drawn.
	wait_until has_text 9876 "$dir/screen"
	printf x >&9
	printf q >&9
	expect_restored
}

top_signal() {
	start_top_redirected
	kill -TERM "$(pgrep -x sgctl)"
	expect_restored
}

# It waits for a module that is unloaded, and shows what there is with the next one.
top_reloaded() {
	# A space that is one already is not drawn.
	start_top groups:
	unload
	wait_until has_text unloaded: "$dir/screen"
	insmod "$SG_MODULE"
	start_outcome redirected
	wait_until has_text "port $PORT: overflow" "$dir/screen"
	printf q >&9
	expect_restored
}

top_errors() {
	expect_status 1 "$SGCTL" top
	expect_err "needs a terminal"
	expect_status 2 "$SGCTL" top --json
	expect_status 2 "$SGCTL" top --interval 1ms
}

export_page() {
	local seen labels group
	start_outcome redirected
	start_export
	seen=$(fetch "$url")
	[[ $seen == "200 application/openmetrics-text"* ]] || complain "answered: $seen"
	out=$(<"$dir/out")
	group="{group=\"${made[4]}\"}"
	labels="group=\"${made[4]}\",address=\"127.0.0.2\",port=\"$PORT\""
	labels="{$labels,inode=\"${made[3]}\",cookie=\"${made[6]}\"}"
	for line in "service_group_groups 1" "service_group_members 2" \
		"service_group_group_members$group 2" \
		"service_group_group_redirected_queue_full_total$group 1" \
		"service_group_group_dropped_full_total$group 0" \
		"service_group_member_state$labels 2" "service_group_member_queued$labels 1" \
		"service_group_member_redirected_in_total$labels 1" "# EOF"; do
		grep -qxF "$line" "$dir/out" || complain "not told: $line: $out"
	done
	seen=$(fetch "${url%metrics}")
	[[ $seen == 404* ]] || complain "answered: $seen"
	kill -TERM "$watcher"
	wait "$watcher" || complain "export ended with $?"
}

export_errors() {
	start_listeners 1 8
	expect_status 1 "$SGCTL" export --listen 127.0.0.1:$PORT
	expect_err "127.0.0.1:$PORT"
	expect_status 2 "$SGCTL" export --listen nonsense
	expect_status 2 "$SGCTL" export --limit 0
}

# Everything says that the module is not loaded; export goes on when it is.
without_module() {
	local seen
	start_export
	unload
	trap 'insmod "$SG_MODULE"' EXIT
	seen=$(fetch "$url")
	[[ $seen == 503* ]] || complain "answered: $seen"
	grep -q modprobe "$dir/out" || complain "does not say what to do: $(<"$dir/out")"
	for command in show 'top --once' monitor 'set --group 1 --policy balance' \
		'cluster ready 198.51.100.7' 'cluster leave' 'why 127.0.0.1:1 127.0.0.1:2'; do
		expect_status 1 "$SGCTL" $command
		expect_err modprobe
	done
	trap - EXIT
	insmod "$SG_MODULE"
	seen=$(fetch "$url")
	[[ $seen == 200* ]] || complain "answered: $seen"
}

run_tests "$@"
