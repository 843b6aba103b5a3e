/* SPDX-License-Identifier: GPL-2.0 */
/* Messages of netlink: what a request consists of, and how answers are read. */
#ifndef SELFTESTS_LIB_MESSAGE_H
#define SELFTESTS_LIB_MESSAGE_H

#include <linux/genetlink.h>
#include <linux/netlink.h>

#include "lib.h"

struct message {
	struct nlmsghdr header;
	struct genlmsghdr generic;
	char attributes[1024];
};

/* What to do with each answer: its attributes, from @first on, @left bytes. */
typedef void (*reader)(const struct nlattr *first, int left, void *to);

#define for_each_attribute(attribute, first, left)				\
	for (const struct nlattr *attribute = (first);				\
	     (left) >= NLA_HDRLEN && attribute->nla_len >= NLA_HDRLEN &&	\
	     attribute->nla_len <= (left);					\
	     (left) -= NLA_ALIGN(attribute->nla_len),				\
	     attribute = (const void *)((const char *)attribute +		\
					NLA_ALIGN(attribute->nla_len)))

static inline int type_of(const struct nlattr *attribute)
{
	return attribute->nla_type & NLA_TYPE_MASK;
}

static inline const void *data_of(const struct nlattr *attribute)
{
	return (const char *)attribute + NLA_HDRLEN;
}

static inline uint64_t number_of(const struct nlattr *attribute)
{
	uint64_t number = 0;
	int len = attribute->nla_len - NLA_HDRLEN;

	memcpy(&number, data_of(attribute), len > 8 ? 8 : len);
	return number;
}

static inline void add(struct message *message, int type, const void *data, int len)
{
	struct nlattr *attribute = (void *)((char *)message + message->header.nlmsg_len);

	attribute->nla_type = type;
	attribute->nla_len = NLA_HDRLEN + len;
	memcpy((char *)attribute + NLA_HDRLEN, data, len);
	message->header.nlmsg_len += NLA_ALIGN(attribute->nla_len);
}

static inline struct message new_message(int family, int command, int flags)
{
	return (struct message) {
		.header = {
			.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN),
			.nlmsg_type = family,
			.nlmsg_flags = NLM_F_REQUEST | flags,
		},
		.generic = { .cmd = command, .version = 1 },
	};
}

/* receive - send a request, and read all answers up to the last; 0 or -errno. */
static inline int receive(int fd, const void *request, size_t len, reader read_answer, void *to)
{
	static _Thread_local char buffer[65536];

	if (send(fd, request, len, 0) < 0)
		return -errno;
	for (;;) {
		ssize_t length = recv(fd, buffer, sizeof(buffer), 0);
		struct nlmsghdr *answer = (void *)buffer;
		int left = length;

		if (length < 0)
			return -errno;
		for (; NLMSG_OK(answer, left); answer = NLMSG_NEXT(answer, left)) {
			const char *data = NLMSG_DATA(answer);

			if (answer->nlmsg_type == NLMSG_ERROR || answer->nlmsg_type == NLMSG_DONE)
				return *(const int *)data;
			if (read_answer)
				read_answer((const void *)(data + GENL_HDRLEN),
					    NLMSG_PAYLOAD(answer, GENL_HDRLEN), to);
		}
	}
}

/* ask - the same, of a message of ours. */
static inline int ask(int fd, struct message *message, reader read_answer, void *to)
{
	if (!(message->header.nlmsg_flags & NLM_F_DUMP))
		message->header.nlmsg_flags |= NLM_F_ACK;
	return receive(fd, message, message->header.nlmsg_len, read_answer, to);
}

#endif
