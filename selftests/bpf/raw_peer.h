/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A peer made of raw packets, for what no socket would do: a minimal TCP of our own that says in
 * its SYN or SYN-ACK that it speaks SMC, and then does as it is told.
 *
 * It sits at one end of a veth pair. The other end, with RAW_LOCAL and a route to all of
 * 10.99.0.0/16, is the kernel's. There is no ARP: what the kernel sends to the raw end has the MAC
 * address of the sender, so the kernel itself takes it for another host's and answers nothing.
 * Connection @i of the peer is host 10.99.(1 + i / 250).(1 + i % 250).
 */
#ifndef _RAW_PEER_H
#define _RAW_PEER_H

#include <linux/types.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#define RAW_LOCAL	0x0a630001	/* 10.99.0.1, host order */
#define RAW_PORT	7000		/* where the peer is when it is the server */
#define RAW_RX		1024		/* of what it receives, so much is kept */
#define RAW_MAX		12000

enum raw_state {
	RAW_CLOSED,
	RAW_LISTEN,		/* answers a SYN to RAW_PORT */
	RAW_SYN_SENT,
	RAW_SYN_RCVD,
	RAW_OPEN,
};

struct raw_conn {
	enum raw_state state;
	__u16 port, dport;	/* ours, the kernel's */
	__u32 snd_nxt, rcv_nxt;
	bool no_option;		/* do not say that we speak SMC */
	bool mute;		/* SYN-ACK and data are not answered */
	/* what was seen */
	bool option;		/* the kernel's SYN or SYN-ACK says that it speaks SMC */
	bool fin, rst;
	double opened, ended;	/* ESTABLISHED; first FIN or RST */
	unsigned int rx_len;	/* received in all */
	__u8 *rx;
};

struct raw_peer {
	int fd, ifindex;
	__u8 mac[6];
	struct raw_conn *conns;
	unsigned int n;
	__u32 seq;
	__u16 port;
};

/* In a netns of the test's own: makes the interfaces. False with an assertion. */
bool raw_open(struct raw_peer *peer, unsigned int n);
void raw_close(struct raw_peer *peer);
struct sockaddr_in raw_addr(unsigned int i);

/* Connection @i becomes a new one; the SYN is not sent yet. */
struct raw_conn *raw_new(struct raw_peer *peer, unsigned int i);
/* Sends the SYN, with @len bytes of data in it. */
void raw_syn(struct raw_peer *peer, unsigned int i, int dport, const void *data, size_t len);
/* Becomes a server for one SYN. */
void raw_listen(struct raw_peer *peer, unsigned int i);
/* The ACK of the handshake, of one that was mute. */
void raw_ack(struct raw_peer *peer, unsigned int i);
void raw_send(struct raw_peer *peer, unsigned int i, const void *data, size_t len);
void raw_fin(struct raw_peer *peer, unsigned int i);
void raw_rst(struct raw_peer *peer, unsigned int i);
/* Answers what has come, for @ms at most when nothing comes; returns the number of packets. */
int raw_pump(struct raw_peer *peer, int ms);

/* Answers packets until @cond, for @ms (times env.slow) at most; returns @cond. */
#define RAW_WAIT(peer, cond, ms)							\
({											\
	double until__ = now() + (ms) * env.slow / 1000.0;				\
	bool done__;									\
	while (raw_pump(peer, 0), !(done__ = !!(cond)) && now() < until__)		\
		raw_pump(peer, 5);							\
	done__;										\
})

#endif
