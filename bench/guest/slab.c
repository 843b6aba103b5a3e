// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of the kernel's slab caches: see slab.h.
 */
#include "slab.h"

#include <err.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <unistd.h>

#define SETTLE_US	500000

/*
 * Each processor keeps some free objects at hand, which count as used. A cache that
 * is told to shrink gives them up.
 */
static void shrink_caches(void)
{
	glob_t files;

	if (glob("/sys/kernel/slab/*/shrink", 0, NULL, &files))
		errx(1, "no slab cache can be shrunk");
	for (size_t i = 0; i < files.gl_pathc; i++) {
		int fd = open(files.gl_pathv[i], O_WRONLY | O_CLOEXEC);

		if (fd < 0 || write(fd, "1", 1) != 1)
			err(1, "%s", files.gl_pathv[i]);
		close(fd);
	}
	globfree(&files);
}

uint64_t slab_bytes(void)
{
	FILE *info = fopen("/proc/slabinfo", "r");
	unsigned long long objects, size;
	uint64_t bytes = 0;
	char line[512];

	if (!info)
		err(1, "/proc/slabinfo");
	usleep(SETTLE_US);
	shrink_caches();
	while (fgets(line, sizeof(line), info))
		if (sscanf(line, "%*s %llu %*u %llu", &objects, &size) == 2)
			bytes += objects * size;
	fclose(info);
	return bytes;
}
