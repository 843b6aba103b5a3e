# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# How provision does a step of work: with progress, under a lock, into a
# temporary folder that gets its name when it is whole.
#
# It knows nothing of what is made.

# Files written by one run only, so a late reader sees what really happened.
SG_LOG=

elapsed() {
	printf '%d:%02d' $((SECONDS / 60)) $((SECONDS % 60))
}

say() {
	printf '[%s] %s\n' "$(elapsed)" "$*"
}

# follow - copies stdin to the log; every 20 seconds a line of it is progress.
follow() {
	local line next=$((SECONDS + 20))
	while IFS= read -r line; do
		printf '%s\n' "$line"
		((SECONDS < next)) && continue
		next=$((SECONDS + 20))
		say "    ${line:0:100}" >&2
	done >"$SG_LOG"
}

# step TEXT CMD… - runs CMD with its output in the log, and explains a failure.
step() {
	local text=$1 status
	shift
	say "$text"
	SG_LOG=$SG_CACHE/log/${text//[^a-z]/-}.log
	# Not in a condition: there, `set -e` would not hold inside CMD.
	set +e
	(
		set -e
		"$@"
	) </dev/null 2>&1 | follow
	status=${PIPESTATUS[0]}
	set -e
	[[ $status -eq 0 ]] || explain_failure "$text"
}

explain_failure() {
	if grep -q 'No space left on device' "$SG_LOG" ||
		(($(free_megabytes) < 100)); then
		die "the disk under $SG_CACHE is full"
	elif grep -qE 'Could not (connect|resolve)|Temporary failure resolving|Failed to fetch' \
		"$SG_LOG"; then
		die "the mirror $SG_MIRROR could not be reached; SG_MIRROR=URL names another"
	fi
	tail -n 15 "$SG_LOG" >&2
	die "could not $1; all of the output is in $SG_LOG"
}

free_megabytes() {
	df --output=avail -m "$SG_CACHE" | tail -n 1
}

# need_space MEGABYTES
need_space() {
	(($(free_megabytes) >= $1)) ||
		die "$SG_CACHE needs $1 MB free and has $(free_megabytes | tr -d ' ')"
}

# with_lock NAME FUNCTION ARG… - one process at a time; the lock ends with it.
with_lock() {
	local lock
	exec {lock}>"$SG_CACHE/lock-$1"
	if ! flock -n "$lock"; then
		say "another process is making this ($1): waiting for it"
		flock "$lock"
	fi
	"${@:2}"
	exec {lock}>&-
}

# make_entry NAME FOLDER FUNCTION - FUNCTION fills a folder, given as its
# argument, that becomes FOLDER when FUNCTION succeeds. After an interruption it
# finds what it had made, and may go on with that.
make_entry() {
	whole "$2" || with_lock "$1" make_entry_locked "$@"
}

make_entry_locked() {
	local tmp
	! whole "$2" || return 0
	tmp=$SG_CACHE/part-$1.${2##*/}
	# Of other versions, which nobody is going to finish.
	find "$SG_CACHE" -maxdepth 1 -name "part-$1.*" ! -path "$tmp" \
		-exec rm -rf --one-file-system {} +
	mkdir -p "$tmp"
	# A failed step must not keep the disk full.
	# shellcheck disable=SC2064 # the name is known now
	trap "rm -rf --one-file-system '$tmp'" EXIT
	"$3" "$tmp" "$2"
	finish_entry "$tmp" "$2"
	trap - EXIT
}

# finish_entry TMP FOLDER - an empty FOLDER may be there: it was a mount point.
finish_entry() {
	touch "$1/.whole"
	sync -f "$1"
	mv -T "$1" "$2"
}
