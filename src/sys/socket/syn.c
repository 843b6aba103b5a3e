// SPDX-License-Identifier: GPL-2.0
/*
 * What else becomes of a SYN: it is dropped and counted, or reset, or answered
 * with a cookie by a sibling.
 */
#include <net/request_sock.h>
#include <net/tcp.h>

#include "socket.h"

/*
 * The listener that answers with a SYN cookie remembers that it did; the ACK
 * is looked up anew, and finds the home listener, which has to know as well.
 */
void svcg_cookies_follow(struct sock *home, const struct sock *target)
{
	if (!tcp_synq_no_recent_overflow(target))
		tcp_synq_overflow(home);
}

void svcg_count_drop(struct sock *sk)
{
	NET_INC_STATS(sock_net(sk), LINUX_MIB_LISTENOVERFLOWS);
	tcp_listendrop(sk);
}

static_assert(__same_type(((struct request_sock_ops *)0)->send_reset,
			  void (*)(const struct sock *sk, struct sk_buff *skb,
				   enum sk_rst_reason reason)));

void svcg_send_reset(const struct sock *sk, struct sk_buff *skb)
{
	const struct proto *prot = &tcp_prot;

	/* An IPv6 socket that serves IPv4 has its own protocol all the same. */
	if (svcg_skb_is_ipv6(skb))
		prot = READ_ONCE(sk->sk_prot);
	prot->rsk_prot->send_reset(sk, skb, SK_RST_REASON_NOT_SPECIFIED);
}

_Bool svcg_skb_is_ipv6(const struct sk_buff *skb)
{
	return skb->protocol == htons(ETH_P_IPV6);
}
