# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the scripts that measure in a guest share. The checkout is slow to read
# there, so what is run often is copied to memory.

set -euo pipefail

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)

# fetch PROGRAM - copies it, and the module, to /run.
fetch() {
	cp "$checkout/build/bench/bin/$1" "$checkout/build/stock/service_group.ko" /run/
}

# The tool: in a cluster, this machine has the name that is said.
sgctl_cluster() {
	"$checkout/build/bin/sgctl" cluster "$@" >/run/sgctl-says || {
		cat /run/sgctl-says >&2
		return 1
	}
}

insert() {
	insmod /run/service_group.ko
}

# The last group's memory may be given back a moment after its last socket.
unload() {
	local tries=0
	until rmmod service_group 2>/run/rmmod-errors; do
		((++tries < 100)) || {
			cat /run/rmmod-errors >&2
			return 1
		}
		sleep 0.1
	done
}

# For `owner` and `forward`, which have the address on a device themselves: a cluster IP holds the
# module, and `leave` leaves none that a device has from somebody else.
unload_cluster() {
	ip address del 10.77.0.1/32 dev lo
	sgctl_cluster leave
	ip address add 10.77.0.1/32 dev lo
	unload
}

# For `hook` and `rewrite`: the server's addresses, and a device that leads to the client.
prepare_wire() {
	modprobe tun
	ip address add 10.77.0.1/32 dev lo
	ip address add 10.77.0.2/32 dev lo
	ip tuntap add dev wire0 mode tun
	sysctl -qw net.ipv6.conf.wire0.disable_ipv6=1
	ip link set wire0 up
	ip route add 10.77.1.0/24 dev wire0
}

# For `owner` and `forward`: the machine on a segment with three nodes that a program
# plays, and a router, behind which the clients are. Nobody is asked for a MAC address.
prepare_segment() {
	local number
	modprobe tun
	ip tuntap add dev wire0 mode tap
	ip link set wire0 address 02:77:00:00:00:01
	sysctl -qw net.ipv6.conf.wire0.disable_ipv6=1 net.ipv4.ip_forward=1 \
		net.ipv4.conf.{all,wire0}.{send_redirects,rp_filter}=0
	tc qdisc replace dev wire0 root noqueue
	ip address add 10.77.0.9/24 dev wire0
	ip link set wire0 up
	for number in 1 2 3; do
		ip neighbour add 10.77.0.1$number lladdr 02:77:00:00:01:0$number dev wire0
	done
	ip neighbour add 10.77.0.21 lladdr 02:77:00:00:02:01 dev wire0
	ip route add 10.128.0.0/16 via 10.77.0.21
	ip route add 10.78.0.0/24 via 10.77.0.11
}

# begin_loads NAME RUNS MILLISECONDS RAW - for what measures with `load`. What is
# done for the first time is slow, and goes nowhere.
begin_loads() {
	load_name=$1 load_runs=$2 load_milliseconds=$3 load_raw=$4
	fetch load
	insert
	true >"$load_raw"
	for variant in reuseport balance; do
		/run/load healthy "$variant" 90 500 1 >/run/forgotten
	done
}

# measure_load CASE VARIANT LOAD - one line of RAW for the caller's `run`.
measure_load() {
	# shellcheck disable=SC2154 # run is the caller's
	echo "$load_name: run $run of $load_runs: $1, $2, load $3 %" >&2
	/run/load "$1" "$2" "$3" "$load_milliseconds" "$run" >>"$load_raw"
}
