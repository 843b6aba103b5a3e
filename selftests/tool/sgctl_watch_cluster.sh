#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# What the tool's ways of watching tell of a cluster IP.

# The tests are called by name, which shellcheck cannot follow.
# shellcheck disable=SC2317,SC2016

set -uo pipefail

# shellcheck source=selftests/lib/sgctl.bash
. "$(dirname "$(readlink -f "$0")")/../lib/sgctl.bash"

TESTS=(export_cluster export_asked_for export_address monitor_cluster monitor_cluster_words
	monitor_address)

# start_cluster - this machine is node a of two that share a cluster IP; the client that sends to
# it has the process $client.
start_cluster() {
	unshare --net sleep 1000 &
	client=$!
	# Until it has a namespace of its own there is such a device already.
	wait_until ip link add eth0 type veth peer name eth0 netns "$client" 2>/dev/null
	ip addr add 10.9.0.1/24 dev eth0
	ip link set eth0 up
	nsenter --target "$client" --net ip -batch - <<-EOF
		addr add 10.9.0.9/24 dev eth0
		link set eth0 up
		route add 198.51.100.7/32 dev eth0
		neigh add 198.51.100.7 lladdr 03:53:c6:33:64:07 dev eth0
	EOF
	printf '[[node]]\nname = "%s"\nid = %s\naddress = "10.9.0.%s"\n' a 1 1 b 2 2 \
		>"$dir/cluster.toml"
	cluster add 198.51.100.7 --device eth0
}

# cluster WORD… - changes the file, and applies it here.
cluster() {
	expect_status 0 "$SGCTL" cluster "$@" --file "$dir/cluster.toml" --node a
}

# send COUNT - the client sends so many packets, each from another port.
send() {
	nsenter --target "$client" --net python3 -SI -c "
import socket
for port in range(20000, 20000 + $1):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(('', port)); sock.sendto(b'?', ('198.51.100.7', $PORT))"
}

# have_come COUNT - packets to the cluster IP.
have_come() {
	"$SGCTL" cluster show --json >"$dir/told" || return 1
	[[ $(ask_python true 'sum(it[0]["counters"][of] for of in ("owned", "ignored")) == '"$1" \
		"$dir/told") == True ]]
}

# --- The tests.

# Each counter is what the kernel says, and nothing is left out.
export_cluster() {
	local seen
	start_cluster
	send 16
	wait_until have_come 16
	cluster drain b
	start_export
	expect_status 0 "$SGCTL" cluster show --json
	expect_true 'it[0]["counters"]["owned"] and it[0]["counters"]["ignored"]'
	cp "$dir/out" "$dir/shown"
	seen=$(fetch "$url")
	[[ $seen == 200* ]] || complain "answered: $seen"
	expect_check '
with open("'"$dir"'/shown", encoding="utf-8") as file:
    shown = json.load(file)[0]
labels = "address=\"198.51.100.7\",protocol=\"0\",port=\"0\""
told = {name + "_total": value for name, value in shown["counters"].items()}
told.update(role=0, device=1, address=1, healthy=1, ready=1, epoch=shown["epoch"], nodes=2)
expected = {f"service_group_cluster_{name}{{{labels}}} {value}" for name, value in told.items()}
for node, state in zip(shown["nodes"], (0, 1)):
    told = {"state": state, "weight": 1, "slots": node["slots"], "forwarded_total": 0, "away": 0,
            "deputised": 0}
    of = f"{labels},node=\"{node["id"]}\""
    expected |= {f"service_group_cluster_node_{name}{{{of}}} {value}"
                 for name, value in told.items()}
seen = {line for line in lines if line.startswith("service_group_cluster_")}
assert seen == expected, f"only expected: {expected - seen}, only seen: {seen - expected}"' \
		"$dir/out"
}

# The dashboard and the alerts of the documentation ask for nothing that there is not.
export_asked_for() {
	local missing
	start_cluster
	start_outcome redirected
	start_export
	fetch "$url" >/dev/null
	grep -ohE 'service_group_(group|member|cluster)_[a-z_]+' "$CHECKOUT/docs/cluster.md" \
		"$CHECKOUT/docs/operating.md" "$CHECKOUT/tools/sgctl/grafana-dashboard.json" |
		sort -u >"$dir/names"
	has_lines "$dir/names" 40 || complain "found no more than: $(<"$dir/names")"
	missing=$(sed -n 's/{.*//p' "$dir/out" | sort -u | comm -23 "$dir/names" -)
	[[ -z $missing ]] || complain "there is no $missing"
}

# tells VALUE - whether the export has it for the address.
tells() {
	fetch "$url" >/dev/null
	has_text "service_group_cluster_address{address=\"198.51.100.7\",protocol=\"0\",port=\"0\"} $1" \
		"$dir/out"
}

# As soon as it is gone, and as soon as it is back.
export_address() {
	start_cluster
	start_export
	tells 1 || complain "at first: $(<"$dir/out")"
	ip addr del 198.51.100.7/32 dev lo
	tells 0 || complain "without the address: $(<"$dir/out")"
	expect_status 0 "$SGCTL" cluster apply "$dir/cluster.toml" --node a
	tells 1 || complain "with the address: $(<"$dir/out")"
}

monitor_cluster() {
	start_cluster
	start_watching --json
	cluster drain b
	cluster del 198.51.100.7
	wait_until saw '"cluster-del"'
	expect_check '
assert len(events) == len(lines), lines
# That the address came may be told after it has come; and it goes before the cluster IP does.
events = [event for event in events if event["event"] == "cluster-del" or
          event["cluster"]["epoch"] == 2 and event["cluster"]["local"] == "elsewhere"]
assert [event["event"] for event in events] == ["cluster-change", "cluster-del"], events
changed = events[0]["cluster"]
assert (changed["address"], changed["role"], changed["epoch"]) == \
    ("198.51.100.7", "shared", 2), changed
assert [node["state"] for node in changed["nodes"]] == ["up", "draining"], changed
assert not {"slots", "table"} & set(changed), changed' "$dir/events"
}

monitor_cluster_words() {
	start_cluster
	start_watching
	cluster drain b
	cluster del 198.51.100.7
	wait_until saw "Z cluster 198.51.100.7 changed: shared, sum5, epoch 2" \
		"Z cluster 198.51.100.7 removed"
}

# told_last TEXT - whether the last event ends so.
told_last() {
	[[ $(tail -n 1 "$dir/events") == *"$1" ]]
}

# A line for each time that it goes, or comes.
monitor_address() {
	local told='cluster 198.51.100.7 changed: shared, sum5, epoch 1'
	start_cluster
	start_watching
	ip addr del 198.51.100.7/32 dev lo
	wait_until saw "Z $told, its address is missing"
	expect_status 0 "$SGCTL" cluster show --file "$dir/cluster.toml"
	has_text "settle 3600s, its address is missing" "$dir/out" ||
		complain "show: $(<"$dir/out")"
	ip addr add 198.51.100.7/32 dev eth0
	wait_until told_last "Z $told"
}

run_tests "$@"
