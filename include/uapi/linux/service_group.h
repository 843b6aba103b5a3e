/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * service_group: several listening TCP sockets provide one service.
 *
 * A group is formed, joined, left and read through socket options at level
 * SOL_IP, for IPv4 and IPv6 TCP sockets alike:
 *
 *   setsockopt(fd, SOL_IP, SO_SERVICE_GROUP, &request, length)
 *	form a group of the sockets that the request lists; @fd is any TCP
 *	socket of the network namespace, and becomes a member if it is listed
 *   setsockopt(fd, SOL_IP, SO_SERVICE_GROUP, &id, 4)
 *	join @fd to the group with this id (__u32)
 *   setsockopt(fd, SOL_IP, SO_SERVICE_GROUP_LEAVE, &flags, 4)
 *	take @fd out of its group (__u32, SERVICE_GROUP_LEAVE_* flags)
 *   getsockopt(fd, SOL_IP, SO_SERVICE_GROUP, &info, &length)
 *	read the group and this member of it
 *   setsockopt(fd, SOL_IP, SO_SERVICE_GROUP_SETTINGS, &settings, length)
 *	change what the group of @fd does, and this member's weight
 *   getsockopt(fd, SOL_IP, SO_SERVICE_GROUP_SETTINGS, &settings, &length)
 *	read them
 *
 * A socket that left may join again. It keeps the module in use, and can be given
 * no other upper layer protocol and be put into no sockmap, until it is closed.
 *
 * Every call either does all that it was asked for, or fails and has changed
 * nothing; only the mark that keeps the module in use may stay on a socket that
 * another thread changed meanwhile. The errors are listed at the end of this
 * file.
 */
#ifndef _UAPI_LINUX_SERVICE_GROUP_H
#define _UAPI_LINUX_SERVICE_GROUP_H

#include <linux/types.h>

/* Option names at level SOL_IP; 0x5347 is "SG". */
#define SO_SERVICE_GROUP		0x5347
#define SO_SERVICE_GROUP_LEAVE		0x5348
#define SO_SERVICE_GROUP_SETTINGS	0x5349

/* Most members that one group takes, and most entries of one request. */
#define SERVICE_GROUP_MAX_MEMBERS	1024
/* Most groups that sockets of one user form in one network namespace. */
#define SERVICE_GROUP_MAX_GROUPS	1024

/**
 * struct service_group_entry - one socket of a request
 * @fd: descriptor of a TCP socket that the caller holds
 * @family: AF_UNSPEC when no address is asked for; else the socket's own
 *	family, AF_INET or AF_INET6, and @addr is what the socket is bound to
 *	or is to be bound to
 * @reserved: must be zero
 * @scope_id: index of the interface of a link-local IPv6 address, else zero
 * @reserved2: must be zero
 * @addr: the address, network byte order; an IPv4 address takes the first
 *	four bytes, and the others must be zero; all must be zero when @family
 *	is AF_UNSPEC
 */
struct service_group_entry {
	__s32	fd;
	__u16	family;
	__u16	reserved;
	__u32	scope_id;
	__u32	reserved2;
	__u8	addr[16];
};

/**
 * struct service_group_request - form a group
 * @size: sizeof(struct service_group_request) of the caller's header; a larger
 *	one than the kernel knows is taken if the bytes behind are zero
 * @flags: SERVICE_GROUP_* flags
 * @count: number of entries, which start @size bytes from the beginning; the
 *	option's length is exactly @size + @count * sizeof(struct
 *	service_group_entry)
 * @port: zero: nothing is bound, unless %SERVICE_GROUP_BIND is set. Programs
 *	bind() their sockets themselves, and group them then. Else the group's
 *	port, network byte order: every socket that is not bound yet is bound to
 *	it, at its entry's address or else the wildcard address; every socket
 *	that is bound must have it. This needs CAP_NET_ADMIN in the network
 *	namespace, bound or not
 * @reserved: must be zero
 *
 * The sockets may be unbound, bound or listening, of either family, and may go
 * on to listen, shut down and listen again. Those that are to have one address
 * need SO_REUSEPORT before bind(). Sockets that the call binds get it, unless
 * there is one entry only or each names an address that is no wildcard and no
 * other entry's.
 *
 * The binding of this call is not asked of security modules (Landlock, AppArmor,
 * SELinux, Smack), as bind() is; that is why it is for administrators only.
 */
struct service_group_request {
	__u32	size;
	__u32	flags;
	__u32	count;
	__be16	port;
	__u16	reserved;
};

/**
 * enum service_group_flags - flags of a request
 * @SERVICE_GROUP_BIND: with a zero port, bind the unbound sockets to the port
 *	that the bound ones have, or, when none is bound, to one that the
 *	kernel chooses. Needs CAP_NET_ADMIN as a port does
 */
enum service_group_flags {
	SERVICE_GROUP_BIND	= 1 << 0,
};

/**
 * enum service_group_leave_flags - flags of SO_SERVICE_GROUP_LEAVE
 * @SERVICE_GROUP_LEAVE_DRAIN: move the connections that wait in the socket's
 *	accept queue, and its half-open requests, to siblings that have room.
 *	Those for which no sibling has room stay, as do TCP Fast Open ones whose
 *	handshake is not complete. The socket still listens afterwards
 *
 * A member that is closed, by its program or with it, or shut down, drains
 * without being asked.
 */
enum service_group_leave_flags {
	SERVICE_GROUP_LEAVE_DRAIN	= 1 << 0,
};

/**
 * struct service_group_settings - what a group does, and a member's weight
 * @size: sizeof(struct service_group_settings) of the caller's header, and the
 *	option's length; a larger one than the kernel knows is taken if the
 *	bytes behind are zero, and the first version's, which ends before @adopt
 * @set: SERVICE_GROUP_SET_* flags: which of the fields are to be changed; those
 *	that are not must be zero. getsockopt() sets all that it has filled in
 * @policy: enum service_group_policy of service_group_netlink.h
 * @when_full: enum service_group_when_full of service_group_netlink.h
 * @stall: after how many milliseconds without accept() a member whose queue is
 *	not empty is stalled, at most SERVICE_GROUP_MAX_STALL; 0 for never. Less
 *	than SERVICE_GROUP_MIN_STALL needs CAP_NET_ADMIN in the initial user
 *	namespace
 * @weight: of this member, from 1 to SERVICE_GROUP_MAX_WEIGHT
 * @rewrite: 1: getsockname() of a connection that was accepted from a member,
 *	but came for a sibling at another address, tells the address that the
 *	member is bound to. 0: it tells the one that the client asked for. The
 *	client sees that one in any case. It counts when accept() is called; a
 *	member that is bound to the wildcard has no address of its own
 * @adopt: not 0: a socket that begins to listen in the place of a member
 *	becomes one, before listen() returns: one of the member's user, family,
 *	address, port, device and IPV6_V6ONLY, that could join. The place of a
 *	member whose socket has ended is kept for so many milliseconds, at most
 *	SERVICE_GROUP_MAX_ADOPT, and with it the group, even without members;
 *	of one group 64 places are kept, the latest. What was taken out with
 *	SO_SERVICE_GROUP_LEAVE leaves no place. 0: no socket becomes a member
 *	by itself. More than a minute takes CAP_NET_ADMIN in the network
 *	namespace, and so does any time if the members are of another user than
 *	the one that formed the group
 *
 * A new group has SERVICE_GROUP_POLICY_OVERFLOW, SERVICE_GROUP_WHEN_FULL_DROP,
 * SERVICE_GROUP_DEFAULT_STALL, and no rewriting and no adopting; a new member has
 * weight 1, an adopted one that of the member whose place it takes. All but the
 * weight are the group's, whichever member's socket they are set through.
 */
struct service_group_settings {
	__u32	size;
	__u32	set;
	__u32	policy;
	__u32	when_full;
	__u32	stall;
	__u32	weight;
	__u32	rewrite;
	__u32	adopt;
};

/**
 * enum service_group_set - which settings are to be changed
 * @SERVICE_GROUP_SET_POLICY: @policy of struct service_group_settings
 * @SERVICE_GROUP_SET_WHEN_FULL: its @when_full
 * @SERVICE_GROUP_SET_STALL: its @stall
 * @SERVICE_GROUP_SET_WEIGHT: its @weight
 * @SERVICE_GROUP_SET_REWRITE: its @rewrite
 * @SERVICE_GROUP_SET_ADOPT: its @adopt
 */
enum service_group_set {
	SERVICE_GROUP_SET_POLICY	= 1 << 0,
	SERVICE_GROUP_SET_WHEN_FULL	= 1 << 1,
	SERVICE_GROUP_SET_STALL		= 1 << 2,
	SERVICE_GROUP_SET_WEIGHT	= 1 << 3,
	SERVICE_GROUP_SET_REWRITE	= 1 << 4,
	SERVICE_GROUP_SET_ADOPT		= 1 << 5,
};

/**
 * struct service_group_info - what getsockopt() tells
 * @size: sizeof(struct service_group_info) that the kernel has written; the
 *	caller's length may be smaller, and the struct is then cut short
 * @id: the group's id, unique in the network namespace while the group lives
 * @members: number of members
 * @state: this member, enum service_group_member_state of
 *	service_group_netlink.h
 * @queued: connections in this member's accept queue
 * @half_open: requests that wait for the last packet of their handshake
 * @backlog: what listen() asked for; the accept queue takes one more
 * @reserved: zero
 * @home: SYNs that this member took as the listener that the lookup found
 * @redirected_in: SYNs that it took for a sibling
 * @redirected_out: SYNs of its own that a sibling took
 * @dropped: SYNs of its own that were dropped or reset, as nobody had room
 * @rescued_in: complete connections that it took over from a sibling
 * @rescued_out: complete connections that a sibling took over from it
 * @accepted: connections that the program accepted
 */
struct service_group_info {
	__u32	size;
	__u32	id;
	__u32	members;
	__u32	state;
	__u32	queued;
	__u32	half_open;
	__u32	backlog;
	__u32	reserved;
	__aligned_u64 home;
	__aligned_u64 redirected_in;
	__aligned_u64 redirected_out;
	__aligned_u64 dropped;
	__aligned_u64 rescued_in;
	__aligned_u64 rescued_out;
	__aligned_u64 accepted;
};

/* Attribute in the nest INET_DIAG_ULP_INFO of sock_diag: the group's id, u32. */
#define SERVICE_GROUP_ULP_INFO_ID	64

/*
 * Errors of setsockopt(SO_SERVICE_GROUP), by subject; which of several is told
 * is not promised. (J) may come from joining by id as well, (L) from
 * SO_SERVICE_GROUP_LEAVE, (S) from SO_SERVICE_GROUP_SETTINGS, (G) from
 * getsockopt().
 *
 * The request:
 *   EFAULT (JLSG)	the memory cannot be read or written
 *   EINVAL (LSG)	bad size: the length is not 4 and not what @size and
 *			@count say, or @size is smaller than the first version's
 *			or larger than 4096
 *   E2BIG (S)		@size is larger than the kernel knows, and what is behind
 *			is not zero: the program is newer than the module
 *   EOPNOTSUPP (LS)	an unknown flag, or a group is to adopt where the kernel
 *			has no tracepoints
 *   EBADMSG (S)	a reserved field, or an address byte that must be, is not
 *			zero, or a setting that is not to be changed is not zero
 *   EDOM (S)		a setting is out of its range
 *   ENODATA		the list is empty
 *   ETOOMANYREFS	the list has more than SERVICE_GROUP_MAX_MEMBERS entries
 *   EAFNOSUPPORT	an entry's family is not AF_UNSPEC and not its socket's
 *   EDESTADDRREQ	an entry has an address, but the request has neither a
 *			port nor SERVICE_GROUP_BIND
 * The sockets:
 *   EBADF		an entry's fd is not an open descriptor
 *   ENOTSOCK		it is not a socket
 *   EPROTONOSUPPORT (JLSG) it is not a TCP socket
 *   EPROTOTYPE (JS)	it is an MPTCP socket, or a part of one; create it with
 *			protocol IPPROTO_TCP (Go: GODEBUG=multipathtcp=0). A
 *			call on an MPTCP socket itself does not get here, and
 *			fails with EOPNOTSUPP
 *   EXDEV (JS)		it is of another network namespace than the caller
 *   ENOTUNIQ		a socket is listed twice
 *   EPERM (JS)		the sockets, or the socket and the group, belong to
 *			different users, or another user formed the group, or the
 *			request has a port or SERVICE_GROUP_BIND, and the caller
 *			lacks CAP_NET_ADMIN in the network namespace; or the
 *			adopt time is one that takes it there, or the
 *			stall time is one that takes it in the initial user
 *			namespace
 *   EALREADY (J)	the socket is in a group already
 *   EEXIST (J)		it carries another upper layer protocol (TCP_ULP), is in a
 *			BPF sockmap, or has operations that are not TCP's own
 *   EISCONN (J)	it is neither closed nor listening
 *   EBUSY (JL)		another call has had it locked for a second; nothing has
 *			changed, unless one that the request has bound is locked
 *			now: that stays bound
 *   EKEYREJECTED (J)	it has TCP-MD5 or TCP-AO keys, a socket filter, an IPsec
 *			policy, a PSP association or sticky options of IPv6; or
 *			another minimum TTL, mark, TOS, IP_TRANSPARENT,
 *			SO_DONTROUTE, or other BPF programs of its cgroup than the
 *			others: a redirected connection would pass that by. What
 *			a security module thinks of a socket (labels of SELinux,
 *			Smack), and what a BPF program keeps for each cgroup,
 *			cannot be compared from a module: do not group sockets
 *			that differ in that
 *   ENODEV (J)		the sockets are bound to different devices
 *   ERANGE (J)		it is bound to another port than the group's, or to
 *			another address than its entry names
 * Doing it:
 *   ENOENT (J)		there is no group with this id
 *   ESRCH (LSG)		the socket is in no group
 *   EUSERS		the user has SERVICE_GROUP_MAX_GROUPS groups
 *   ENOSPC (J)		the group has SERVICE_GROUP_MAX_MEMBERS members
 *   ENOMEM (JLSG)	no memory
 *   EACCES		the caller may not have sockets bound to this port: it is a
 *			privileged one, and the caller lacks CAP_NET_BIND_SERVICE;
 *			or the caller is confined (no_new_privs, seccomp), and has
 *			to bind() its sockets itself
 *   EADDRINUSE		the address and port are in use
 *   EADDRNOTAVAIL	the address is not one of this machine
 * and whatever else bind() says of an address. Where the module is not loaded,
 * the kernel says ENOPROTOOPT (JLSG).
 */

#endif /* _UAPI_LINUX_SERVICE_GROUP_H */
