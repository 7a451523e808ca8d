// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "raw_peer.h"
#include "test_progs.h"

#define PER_NET	250
#define MSS	1400

static const __u8 smc_option[] = { TCPOPT_NOP, TCPOPT_NOP, 254, 6, 0xe2, 0xd4, 0xc3, 0xd9 };

static __u32 address(unsigned int i)
{
	return 0x0a630000 | (1 + i / PER_NET) << 8 | (1 + i % PER_NET);
}

/* The connection with this address, or -1 */
static int index_of(const struct raw_peer *peer, __u32 addr)
{
	unsigned int net = addr >> 8 & 0xff, host = addr & 0xff, i;

	if (addr >> 16 != 0x0a63 || !net || !host || host > PER_NET)
		return -1;
	i = (net - 1) * PER_NET + host - 1;
	return i < peer->n ? (int)i : -1;
}

struct sockaddr_in raw_addr(unsigned int i)
{
	return (struct sockaddr_in) {
		.sin_family = AF_INET,
		.sin_port = htons(RAW_PORT),
		.sin_addr.s_addr = htonl(address(i)),
	};
}

bool raw_open(struct raw_peer *peer, unsigned int n)
{
	struct sockaddr_ll sll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP) };
	struct ifreq ifr = { .ifr_name = "raw0" };
	int size = 64 << 20;

	memset(peer, 0, sizeof(*peer));
	peer->fd = -1;
	peer->n = n;
	peer->port = 20000;
	if (!ASSERT_LE(n, RAW_MAX, "raw connections"))
		return false;
	peer->conns = calloc(n, sizeof(*peer->conns));
	if (!ASSERT_OK_PTR(peer->conns, "memory") ||
	    !ASSERT_OK(sys("ip link add raw0 type veth peer name raw1 && "
			   "ip link set raw0 arp off up && ip link set raw1 arp off up && "
			   "ip addr add 10.99.0.1/16 dev raw0 && "
			   "sysctl -qw net.ipv6.conf.raw0.disable_ipv6=1 "
			   "net.ipv4.tcp_timestamps=0"), "veth"))
		goto err;
	peer->fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (!ASSERT_OK_FD(peer->fd, "packet socket") ||
	    !ASSERT_OK(ioctl(peer->fd, SIOCGIFHWADDR, &ifr), "MAC address"))
		goto err;
	memcpy(peer->mac, ifr.ifr_hwaddr.sa_data, 6);
	setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(peer->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	peer->ifindex = if_nametoindex("raw1");
	sll.sll_ifindex = peer->ifindex;
	if (ASSERT_OK(bind(peer->fd, (void *)&sll, sizeof(sll)), "bind"))
		return true;
err:
	raw_close(peer);
	return false;
}

void raw_close(struct raw_peer *peer)
{
	unsigned int i;

	/* nothing of the kernel's is to wait for a peer that is gone */
	for (i = 0; peer->fd >= 0 && i < peer->n; i++) {
		if (peer->conns[i].state > RAW_LISTEN && !peer->conns[i].rst)
			raw_rst(peer, i);
		free(peer->conns[i].rx);
	}
	if (peer->fd >= 0)
		close(peer->fd);
	peer->fd = -1;
	free(peer->conns);
	peer->conns = NULL;
	sys("! ip link show raw0 > /dev/null 2>&1 || ip link del raw0");
}

static __u32 sum(const void *data, size_t len, __u32 acc)
{
	const __u8 *p = data;

	for (; len > 1; len -= 2, p += 2)
		acc += p[0] << 8 | p[1];
	return len ? acc + (p[0] << 8) : acc;
}

static __u16 fold(__u32 acc)
{
	while (acc >> 16)
		acc = (acc & 0xffff) + (acc >> 16);
	return htons(~acc);
}

static void transmit(struct raw_peer *peer, unsigned int i, __u8 flags, const void *data,
		     size_t len)
{
	const struct raw_conn *conn = &peer->conns[i];
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IP),
		.sll_ifindex = peer->ifindex,
		.sll_halen = 6,
	};
	struct {
		struct iphdr ip;
		struct tcphdr tcp;
		__u8 rest[16 + MSS];
	} packet = {};
	size_t options = 0, tcp_len;

	if (flags & TH_SYN) {
		packet.rest[0] = TCPOPT_MAXSEG;
		packet.rest[1] = TCPOLEN_MAXSEG;
		packet.rest[2] = MSS >> 8;
		packet.rest[3] = MSS & 0xff;
		options = 4;
		if (!conn->no_option) {
			memcpy(packet.rest + options, smc_option, sizeof(smc_option));
			options += sizeof(smc_option);
		}
	}
	if (len)
		memcpy(packet.rest + options, data, len);
	tcp_len = sizeof(packet.tcp) + options + len;
	packet.ip.version = 4;
	packet.ip.ihl = 5;
	packet.ip.ttl = 64;
	packet.ip.protocol = IPPROTO_TCP;
	packet.ip.tot_len = htons(sizeof(packet.ip) + tcp_len);
	packet.ip.saddr = htonl(address(i));
	packet.ip.daddr = htonl(RAW_LOCAL);
	packet.ip.check = fold(sum(&packet.ip, sizeof(packet.ip), 0));
	packet.tcp.source = htons(conn->port);
	packet.tcp.dest = htons(conn->dport);
	packet.tcp.seq = htonl(conn->snd_nxt);
	packet.tcp.ack_seq = flags & TH_ACK ? htonl(conn->rcv_nxt) : 0;
	packet.tcp.doff = (sizeof(packet.tcp) + options) / 4;
	packet.tcp.th_flags = flags;
	packet.tcp.window = htons(65535);
	packet.tcp.check = fold(sum(&packet.tcp, tcp_len,
				    sum(&packet.ip.saddr, 8, IPPROTO_TCP + tcp_len)));
	memcpy(to.sll_addr, peer->mac, 6);
	while (sendto(peer->fd, &packet, sizeof(packet.ip) + tcp_len, 0, (void *)&to,
		      sizeof(to)) < 0 && (errno == EAGAIN || errno == ENOBUFS))
		msleep(1);
}

struct raw_conn *raw_new(struct raw_peer *peer, unsigned int i)
{
	struct raw_conn *conn = &peer->conns[i];
	__u8 *rx = conn->rx;

	memset(conn, 0, sizeof(*conn));
	conn->rx = rx;
	if (++peer->port == 60000)
		peer->port = 20000;
	conn->port = peer->port;
	peer->seq += 1000003;
	conn->snd_nxt = peer->seq;
	return conn;
}

void raw_syn(struct raw_peer *peer, unsigned int i, int dport, const void *data, size_t len)
{
	struct raw_conn *conn = &peer->conns[i];

	conn->dport = dport;
	conn->state = RAW_SYN_SENT;
	transmit(peer, i, TH_SYN, data, len);
	conn->snd_nxt += 1;	/* and the data, if the SYN-ACK says so */
}

void raw_listen(struct raw_peer *peer, unsigned int i)
{
	struct raw_conn *conn = raw_new(peer, i);

	conn->port = RAW_PORT;
	conn->state = RAW_LISTEN;
}

void raw_ack(struct raw_peer *peer, unsigned int i)
{
	transmit(peer, i, TH_ACK, NULL, 0);
}

void raw_send(struct raw_peer *peer, unsigned int i, const void *data, size_t len)
{
	struct raw_conn *conn = &peer->conns[i];
	size_t n;

	for (; len; len -= n, data += n) {
		n = len < MSS ? len : MSS;
		transmit(peer, i, TH_ACK | TH_PUSH, data, n);
		conn->snd_nxt += n;
	}
}

void raw_fin(struct raw_peer *peer, unsigned int i)
{
	transmit(peer, i, TH_FIN | TH_ACK, NULL, 0);
	peer->conns[i].snd_nxt += 1;
}

void raw_rst(struct raw_peer *peer, unsigned int i)
{
	transmit(peer, i, TH_RST | TH_ACK, NULL, 0);
	peer->conns[i].state = RAW_CLOSED;
}

static bool has_smc_option(const __u8 *option, const __u8 *end)
{
	while (option < end && *option != TCPOPT_EOL) {
		if (*option == TCPOPT_NOP) {
			option++;
			continue;
		}
		if (option + 1 >= end || option[1] < 2 || option + option[1] > end)
			return false;
		if (option[0] == 254 && option[1] == 6 && !memcmp(option, smc_option + 2, 6))
			return true;
		option += option[1];
	}
	return false;
}

static void ended(struct raw_conn *conn)
{
	if (!conn->ended)
		conn->ended = now();
}

static void receive_data(struct raw_peer *peer, unsigned int i, const __u8 *data, unsigned int len,
			 bool fin)
{
	struct raw_conn *conn = &peer->conns[i];

	if (!conn->rx)
		conn->rx = malloc(RAW_RX);
	if (conn->rx && conn->rx_len + len <= RAW_RX)
		memcpy(conn->rx + conn->rx_len, data, len);
	conn->rx_len += len;
	conn->rcv_nxt += len;
	if (fin) {
		conn->rcv_nxt++;
		conn->fin = true;
		ended(conn);
	}
	if (!conn->mute)
		raw_ack(peer, i);
}

static void receive(struct raw_peer *peer, const __u8 *packet, size_t size)
{
	const struct iphdr *ip = (const void *)packet;
	const struct tcphdr *tcp = (const void *)(packet + ip->ihl * 4);
	unsigned int len = ntohs(ip->tot_len) - ip->ihl * 4 - tcp->doff * 4;
	const __u8 *data = (const __u8 *)tcp + tcp->doff * 4;
	struct raw_conn *conn;
	int i;

	if (size < sizeof(*ip) + sizeof(*tcp) || ip->protocol != IPPROTO_TCP ||
	    data + len > packet + size)
		return;
	i = index_of(peer, ntohl(ip->daddr));
	if (i < 0)
		return;
	conn = &peer->conns[i];
	if (conn->state == RAW_CLOSED || ntohs(tcp->dest) != conn->port ||
	    (conn->state != RAW_LISTEN && ntohs(tcp->source) != conn->dport))
		return;
	if (tcp->rst) {
		conn->rst = true;
		conn->state = RAW_CLOSED;
		ended(conn);
		return;
	}
	switch (conn->state) {
	case RAW_LISTEN:
		if (!tcp->syn)
			return;
		conn->option = has_smc_option((const __u8 *)(tcp + 1), data);
		conn->dport = ntohs(tcp->source);
		conn->rcv_nxt = ntohl(tcp->seq) + 1;
		conn->state = RAW_SYN_RCVD;
		if (conn->mute)
			return;
		transmit(peer, i, TH_SYN | TH_ACK, NULL, 0);
		conn->snd_nxt++;
		return;
	case RAW_SYN_SENT:
		if (!tcp->syn || !tcp->ack)
			return;
		conn->option = has_smc_option((const __u8 *)(tcp + 1), data);
		conn->rcv_nxt = ntohl(tcp->seq) + 1;
		conn->snd_nxt = ntohl(tcp->ack_seq);
		conn->state = RAW_OPEN;
		conn->opened = now();
		if (!conn->mute)
			raw_ack(peer, i);
		return;
	case RAW_SYN_RCVD:
		if (tcp->syn || !tcp->ack)
			return;
		conn->state = RAW_OPEN;
		conn->opened = now();
		break;
	default:
		break;
	}
	if (!len && !tcp->fin && !tcp->syn)
		return;
	if (ntohl(tcp->seq) == conn->rcv_nxt && !tcp->syn)
		receive_data(peer, i, data, len, tcp->fin);
	else if (!conn->mute)
		raw_ack(peer, i);	/* again */
}

int raw_pump(struct raw_peer *peer, int ms)
{
	struct pollfd pfd = { .fd = peer->fd, .events = POLLIN };
	__u8 packet[65536];
	ssize_t size;
	int n = 0;

	if (ms && poll(&pfd, 1, ms) <= 0)
		return 0;
	while (n < 1000) {
		size = recv(peer->fd, packet, sizeof(packet), 0);
		if (size < 0)
			break;
		receive(peer, packet, size);
		n++;
	}
	return n;
}
