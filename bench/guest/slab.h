/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory of the kernel's slab caches. What is larger than they serve is not in it.
 */
#ifndef SLAB_H
#define SLAB_H

#include <stdint.h>

/* Bytes of all objects in use, once what waits to be freed is. */
uint64_t slab_bytes(void);

#endif /* SLAB_H */
