/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What C calls in Rust for links: links.rs has all of it, but for the commands of
 * netlink, which the generated netlink_gen.h declares.
 */
#ifndef _SERVICE_GROUP_CALLBACKS_LINKS_H
#define _SERVICE_GROUP_CALLBACKS_LINKS_H

struct net;

/* ---- netns.c; process context ---- */

void *svcg_links_new(struct net *net);
void svcg_links_free(void *links);
/* Judges peers; in how many nanoseconds that is to be done again, or ULLONG_MAX. */
unsigned long long svcg_links_tick(const void *links);

/* ---- link.c ---- */

/* What a link's thread does, with what svcg_link_start() was given. */
void svcg_link_run(void *data);

#endif /* _SERVICE_GROUP_CALLBACKS_LINKS_H */
