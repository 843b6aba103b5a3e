# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The guest's half of the scheduler (runner/queue.py): it takes one suite after
# the other from the folder $SG_QUEUE/waiting to its own, $SG_TAKEN, until none
# is left or $SG_QUEUE_SECONDS are over.

# claim - takes the first suite that nobody else has; sets `entry`, which is
# RANK:SUITE:SEED. A file that another guest has moved meanwhile cannot be moved.
claim() {
	local file try
	((SECONDS < ${SG_QUEUE_SECONDS:-2147483647})) || return 1
	for ((try = 0; try < 20; try++)); do
		for file in "$SG_QUEUE"/waiting/*; do
			entry=${file##*/}
			[[ $entry == '*' ]] && return 1
			mv -T "$file" "$SG_TAKEN/$entry" 2>/dev/null && return
		done
	done
	return 1
}

# serve_queue COMMAND - calls COMMAND SUITE SEED for each, between two marks that the
# scheduler understands. SEED is 0 if the suite is to choose.
serve_queue() {
	local entry suite seed status
	while claim; do
		IFS=: read -r _ suite seed <<<"$entry"
		echo "#@ begins $entry"
		status=0
		"$1" "$suite" "$seed" || status=$?
		echo "#@ ends $entry $status"
	done
}
