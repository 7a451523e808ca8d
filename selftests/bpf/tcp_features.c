// SPDX-License-Identifier: GPL-2.0-only
#include <time.h>
#include <linux/errqueue.h>
#include <linux/io_uring.h>
#include <linux/tls.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "network_helpers.h"
#include "tcp_features.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY 60
#endif
#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY 0x4000000
#endif

static bool ktls_keys(int fd, bool first)
{
	struct tls12_crypto_info_aes_gcm_128 key = {
		.info = { .version = TLS_1_2_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128 },
	};
	bool ok;

	/* one key for each direction */
	memset(key.key, first ? 1 : 2, sizeof(key.key));
	ok = ASSERT_OK(setsockopt(fd, SOL_TLS, TLS_TX, &key, sizeof(key)), "TLS_TX");
	memset(key.key, first ? 2 : 1, sizeof(key.key));
	return ok & ASSERT_OK(setsockopt(fd, SOL_TLS, TLS_RX, &key, sizeof(key)), "TLS_RX");
}

bool ktls_start(int a, int b)
{
	return ASSERT_OK(ulp_set(a, "tls"), "TCP_ULP tls") &&
	       ASSERT_OK(ulp_set(b, "tls"), "TCP_ULP tls") &&
	       ktls_keys(a, true) && ktls_keys(b, false);
}

bool ktls_transfer(int a, int b)
{
	struct tcp_info before, after;

	if (!ASSERT_OK(tcp_info(a, &before), "TCP_INFO"))
		return false;
	if (send_pattern(a, 21, 0, 30000) || recv_pattern(b, 21, 0, 30000) ||
	    send_pattern(b, 22, 0, 30000) || recv_pattern(a, 22, 0, 30000))
		return false;
	if (!ASSERT_OK(tcp_info(a, &after), "TCP_INFO"))
		return false;
	/* records have headers and tags */
	return ASSERT_GT(after.tcpi_bytes_sent - before.tcpi_bytes_sent, 30000, "TLS records");
}

bool ktls_works(int a, int b)
{
	return ktls_start(a, b) && ktls_transfer(a, b);
}

bool zerocopy_works(int a, int b)
{
	char control[256];
	struct msghdr msg = { .msg_control = control, .msg_controllen = sizeof(control) };
	struct sock_extended_err *err;
	struct cmsghdr *cmsg;

	if (!ASSERT_OK(sock_set(a, SOL_SOCKET, SO_ZEROCOPY, 1), "SO_ZEROCOPY") ||
	    !ASSERT_EQ(send(a, pattern_at(31, 0), 20000, MSG_ZEROCOPY), 20000, "MSG_ZEROCOPY") ||
	    recv_pattern(b, 31, 0, 20000) ||
	    !ASSERT_TRUE(poll_fd(a, 0, 3000) & POLLERR, "completion") ||
	    !ASSERT_OK(recvmsg(a, &msg, MSG_ERRQUEUE), "MSG_ERRQUEUE"))
		return false;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!ASSERT_OK_PTR(cmsg, "control message"))
		return false;
	err = (void *)CMSG_DATA(cmsg);
	return ASSERT_EQ(err->ee_origin, SO_EE_ORIGIN_ZEROCOPY, "origin of the completion") &
	       ASSERT_OK(sock_set(a, SOL_SOCKET, SO_ZEROCOPY, 0), "SO_ZEROCOPY");
}

/* One request through a ring of its own; the result of the operation. */
static int uring_send_zc(int fd, const void *buf, size_t len)
{
	struct io_uring_params params = {};
	int ring = syscall(SYS_io_uring_setup, 4, &params), rc = -EIO;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqe;
	unsigned int *array, *tail, *cq_head;
	char *sq, *cq;

	if (ring < 0)
		return -errno;
	sq = mmap(NULL, params.sq_off.array + params.sq_entries * sizeof(__u32),
		  PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	cq = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof(*cqe),
		  PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	sqes = mmap(NULL, params.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED,
		    ring, IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || sqes == MAP_FAILED)
		goto out;
	memset(sqes, 0, sizeof(*sqes));
	sqes->opcode = IORING_OP_SEND_ZC;
	sqes->fd = fd;
	sqes->addr = (unsigned long)buf;
	sqes->len = len;
	array = (void *)(sq + params.sq_off.array);
	tail = (void *)(sq + params.sq_off.tail);
	array[0] = 0;
	__atomic_store_n(tail, 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		goto out;
	cq_head = (void *)(cq + params.cq_off.head);
	cqe = (void *)(cq + params.cq_off.cqes);
	rc = cqe[*cq_head].res;
out:
	close(ring);
	return rc;
}

bool uring_send_zc_works(int a, int b)
{
	int rc = uring_send_zc(a, pattern_at(41, 0), 10000);

	if (rc == -EPERM || rc == -ENOSYS) {
		test__debug("no io_uring: %d", rc);
		return true;
	}
	return ASSERT_EQ(rc, 10000, "IORING_OP_SEND_ZC") && !recv_pattern(b, 41, 0, 10000);
}

bool is_plain_tcp(int a, int b)
{
	bool ok;

	ok = ASSERT_STREQ(ulp_name(a), "", "TCP_ULP");
	ok &= ASSERT_STREQ(ulp_name(b), "", "TCP_ULP of the peer");
	ok &= ping_pong(a, b);
	ok &= assert_tcp(a, 500);
	ok &= zerocopy_works(a, b);
	ok &= zerocopy_works(b, a);
	ok &= uring_send_zc_works(a, b);
	ok &= uring_send_zc_works(b, a);
	return ok && ktls_works(a, b);
}
