/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Things that only a socket that is plain TCP, without anything left of the ULP, can do.
 */
#ifndef _TCP_FEATURES_H
#define _TCP_FEATURES_H

#include <stdbool.h>

/* kTLS on both ends (connected to each other), and data through it. */
bool ktls_works(int a, int b);
/* Only the set-up, and only the data. */
bool ktls_start(int a, int b);
bool ktls_transfer(int a, int b);
/* MSG_ZEROCOPY from @a to @b, with its completion. */
bool zerocopy_works(int a, int b);
/* io_uring's IORING_OP_SEND_ZC from @a to @b: refused while SOCK_SUPPORT_ZC is cleared. */
bool uring_send_zc_works(int a, int b);
/* All of them, and no ULP: "as if it had never been there" (docs/design.rst: I2). kTLS comes last. */
bool is_plain_tcp(int a, int b);

#endif
