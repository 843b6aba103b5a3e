// SPDX-License-Identifier: GPL-2.0
/* The tracepoints, for Rust. */
#include "socket.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

void svcg_trace_decision(const struct svcg_record *record,
			 unsigned long long from)
{
	switch (record->outcome) {
	case SERVICE_GROUP_OUTCOME_REDIRECTED:
		trace_service_group_redirect(record, from);
		break;
	case SERVICE_GROUP_OUTCOME_HANDED:
		trace_service_group_hand_over(record, from);
		break;
	case SERVICE_GROUP_OUTCOME_RESCUED:
		trace_service_group_rescue(record, from);
		break;
	case SERVICE_GROUP_OUTCOME_SPILLED:
		trace_service_group_spill(record, from);
		break;
	default:
		trace_service_group_drop(record, from);
	}
}

void svcg_trace_stall(_Bool begins, unsigned int group,
		      unsigned long long member, unsigned int queued)
{
	if (begins)
		trace_service_group_stall_begin(group, member, queued);
	else
		trace_service_group_stall_end(group, member, queued);
}
