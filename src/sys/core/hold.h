/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Delay points: holds one side of a race until the other has passed a point.
 *
 * For tests, in kernels with fault injection; elsewhere a point is nothing.
 */
#ifndef _SERVICE_GROUP_HOLD_H
#define _SERVICE_GROUP_HOLD_H

#ifdef CONFIG_FAULT_INJECTION
/* The caller passes this point, and may be held here. Any context. */
void svcg_point(const char *name);
#else
static inline void svcg_point(const char *name)
{
}
#endif

#endif /* _SERVICE_GROUP_HOLD_H */
