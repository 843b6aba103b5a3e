/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the Rust side of the module calls in C: a header for each folder.
 *
 * bindgen reads this file, so there are only forward declarations and plain
 * integers in it: no layout of a kernel structure ever reaches Rust. Each
 * function wraps one inline function or macro of the kernel, or does list
 * surgery for which the kernel exports nothing. None of them decides anything.
 * What C calls in Rust is declared in callbacks/.
 *
 * Unless said otherwise a function may be called in any context, errors are
 * negative errno values, and numbers are in host byte order.
 */
#ifndef _SERVICE_GROUP_SHIM_H
#define _SERVICE_GROUP_SHIM_H

#include <linux/service_group.h>
#include <linux/service_group_netlink.h>

#include "core/core.h"
#include "packet/packet.h"
#include "socket/socket.h"

#endif /* _SERVICE_GROUP_SHIM_H */
