// SPDX-License-Identifier: GPL-2.0-only
/*
 * io_uring, by hand: one request at a time is put into the ring of the process, and what has
 * completed is taken out. Requests go on while other threads close their sockets.
 */
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "fuzz.h"

#define ENTRIES 16

static struct {
	unsigned int *sq_head, *sq_tail, *sq_mask, *sq_array;
	unsigned int *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	pid_t owner;
} ring;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Each process makes its own. */
static bool ring_open(void)
{
	struct io_uring_params p = {};
	unsigned char *sq, *cq;
	size_t len;

	if (ring.owner == getpid())
		return state.ring >= 0;
	ring.owner = getpid();
	state.ring = syscall(SYS_io_uring_setup, ENTRIES, &p);
	if (state.ring < 0)
		return false;
	len = p.sq_off.array + p.sq_entries * sizeof(unsigned int);
	sq = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, state.ring,
		  IORING_OFF_SQ_RING);
	len = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	cq = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, state.ring,
		  IORING_OFF_CQ_RING);
	ring.sqes = mmap(NULL, p.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_POPULATE, state.ring, IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || ring.sqes == MAP_FAILED) {
		close(state.ring);
		state.ring = -1;
		return false;
	}
	ring.sq_head = (void *)(sq + p.sq_off.head);
	ring.sq_tail = (void *)(sq + p.sq_off.tail);
	ring.sq_mask = (void *)(sq + p.sq_off.ring_mask);
	ring.sq_array = (void *)(sq + p.sq_off.array);
	ring.cq_head = (void *)(cq + p.cq_off.head);
	ring.cq_tail = (void *)(cq + p.cq_off.tail);
	ring.cq_mask = (void *)(cq + p.cq_off.ring_mask);
	ring.cqes = (void *)(cq + p.cq_off.cqes);
	return true;
}

static void reap(void)
{
	unsigned int head = *ring.cq_head;

	while (head != __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE)) {
		const struct io_uring_cqe *cqe = &ring.cqes[head & *ring.cq_mask];
		int fd = cqe->res;
		__u8 slot = cqe->user_data % N_SLOTS;

		/* accepted: the number of the slot is in user_data, plus one in the upper half */
		if (cqe->user_data >> 32 && fd >= 0) {
			fd = __atomic_exchange_n(&state.slot[slot], fd, __ATOMIC_SEQ_CST);
			if (fd >= 0)
				close(fd);
		}
		head++;
	}
	__atomic_store_n(ring.cq_head, head, __ATOMIC_RELEASE);
}

static void fill(struct io_uring_sqe *sqe, const struct call *call)
{
	static struct sockaddr_in sa;	/* must outlive the request */

	memset(sqe, 0, sizeof(*sqe));
	sqe->fd = state.slot[call->s];
	sqe->addr = (unsigned long)state.buffer;
	sqe->len = call->c % 70000;
	switch (call->a % 16) {
	case 0:
	case 1:
		sqe->opcode = IORING_OP_SEND;
		sqe->msg_flags = call->b & 1 ? MSG_WAITALL : 0;
		break;
	case 2:
	case 3:
		sqe->opcode = IORING_OP_RECV;
		sqe->msg_flags = call->b & 1 ? MSG_WAITALL : 0;
		break;
	case 4:
		sqe->opcode = IORING_OP_READ;
		break;
	case 5:
		sqe->opcode = IORING_OP_WRITE;
		break;
	case 6:
	case 7:
		sqe->opcode = IORING_OP_ACCEPT;
		sqe->addr = 0;
		sqe->len = 0;
		sqe->ioprio = call->b & 1 ? IORING_ACCEPT_MULTISHOT : 0;
		sqe->user_data = 1ull << 32 | call->t;
		break;
	case 8:
	case 9:
		sa.sin_family = AF_INET;
		sa.sin_port = htons(state.program->port + call->b % 2);
		sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		sqe->opcode = IORING_OP_CONNECT;
		sqe->addr = (unsigned long)&sa;
		sqe->off = sizeof(sa);
		sqe->len = 0;
		break;
	case 10:
	case 11:
		sqe->opcode = IORING_OP_POLL_ADD;
		sqe->addr = 0;
		sqe->poll32_events = call->c;
		sqe->len = call->b & 1 ? IORING_POLL_ADD_MULTI : 0;
		break;
	case 12:
		sqe->opcode = IORING_OP_SHUTDOWN;
		sqe->addr = 0;
		sqe->len = call->b % 3;
		break;
	case 13:
		sqe->opcode = IORING_OP_SEND_ZC;
		break;
	case 14:
		sqe->opcode = IORING_OP_URING_CMD;
		sqe->addr = 0;
		sqe->len = 0;
		sqe->cmd_op = call->b % 4;
		break;
	default:
		sqe->opcode = IORING_OP_ASYNC_CANCEL;
		sqe->addr = 0;
		sqe->len = 0;
		sqe->cancel_flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL;
	}
	if (call->c % 8 == 7)
		sqe->flags |= IOSQE_ASYNC;
}

long op_uring(const struct call *call)
{
	unsigned int tail;
	long rc = -1;

	pthread_mutex_lock(&lock);
	if (!ring_open())
		goto out;
	tail = *ring.sq_tail;
	fill(&ring.sqes[tail & *ring.sq_mask], call);
	ring.sq_array[tail & *ring.sq_mask] = tail & *ring.sq_mask;
	__atomic_store_n(ring.sq_tail, tail + 1, __ATOMIC_RELEASE);
	rc = syscall(SYS_io_uring_enter, state.ring, 1, 0, 0, NULL, 0);
	reap();
out:
	pthread_mutex_unlock(&lock);
	return rc;
}
