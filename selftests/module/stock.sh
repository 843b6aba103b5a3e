#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Sockets outside groups behave as they always did: the kernel's own tests of
# listeners and reuseport give the same result with and without the module.
#
# They are those of tools/testing/selftests/net, built from the kernel's source
# by our Makefile. A test that fails in both cases is the kernel's matter.
#
# On a kernel that checks itself each is run only with the module, as all take
# long there: what counts are the kernel's reports, and that each comes to its end.
# One makes ten thousand connections, which takes minutes there: it is left out.

set -uo pipefail

HERE=$(dirname "$(readlink -f "$0")")
FOLDER=${SG_SELFTESTS_OUT:-$HERE/../../build/selftests}/stock
# Seconds; ten times as many on a kernel that checks itself.
LIMIT=120

declare -A without with arguments=([tcp_fastopen_backup_key]="-4")

checks_itself() {
	[[ -e /sys/kernel/debug/kmemleak ]]
}

tests=()
for program in "$FOLDER"/*; do
	[[ $program == *_backup_key ]] && checks_itself && continue
	[[ -x $program ]] && tests+=("${program##*/}")
done
echo "TAP version 13"
echo "1..$((${#tests[@]} + 1))"

# result NAME - its exit status, and how many of its cases passed and failed.
result() {
	local status=0 output
	# shellcheck disable=SC2016,SC2086 # for the inner shell; words are meant
	output=$(cd "$FOLDER" && timeout "$LIMIT" unshare --net \
		sh -c 'ip link set lo up && exec "$@"' sh "./$1" ${arguments[$1]-} 2>&1) || status=$?
	printf '%s, %s passed, %s failed' "$status" \
		"$(grep -c '^ok' <<<"$output")" "$(grep -c '^not ok' <<<"$output")"
}

if checks_itself; then
	compares=
	LIMIT=$((10 * LIMIT))
else
	compares=yes
	# The end of a socket of before may wait for a grace period, a namespace for a worker.
	for ((try = 0; try < 300; try++)); do
		rmmod service_group 2>/dev/null && break
		sleep 0.2
	done
	[[ ! -e /sys/module/service_group ]] || exit 1
	# Whatever ends this, it is loaded afterwards.
	trap '[[ -e /sys/module/service_group ]] || insmod "$SG_MODULE"' EXIT
	for name in "${tests[@]}"; do
		without[$name]=$(result "$name")
	done
	insmod "$SG_MODULE" || exit 1
fi

# is_right NAME - whether it is as without the module, or at least came to its end:
# 124 and more are a limit and signals.
is_right() {
	if [[ -n $compares ]]; then
		[[ ${with[$1]} == "${without[$1]}" ]]
	else
		((${with[$1]%%,*} < 124))
	fi
}

number=0 good=0
for name in "${tests[@]}"; do
	number=$((number + 1))
	with[$name]=$(result "$name")
	[[ ${with[$name]} == 0,* ]] && good=$((good + 1))
	if is_right "$name"; then
		echo "ok $number stock.$name: ${with[$name]}"
	else
		echo "not ok $number stock.$name: ${with[$name]}; without the module ${without[$name]-?}"
	fi
done
# Two times the same nonsense would be the same, too.
if ((good > number / 2)); then
	echo "ok $((number + 1)) stock.most_of_them_pass: $good of $number"
else
	echo "not ok $((number + 1)) stock.most_of_them_pass: $good of $number"
fi
