/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refuse.h - a listening socket that takes nobody new and keeps whom it has.
 *
 * What has begun to connect to a socket that is closed is reset, perhaps after its
 * request was sent: between the last accept() and the close there is always a moment.
 * A program (BPF) at the group of sockets that share the port (SO_REUSEPORT) refuses
 * whom it does not know; handshakes that have begun end, and can be accepted.
 */
#ifndef NINES_OS_REFUSE_H
#define NINES_OS_REFUSE_H

#include "base/check.h"

/*
 * From now on the kernel refuses new connections to the group of `fd`, a listening TCP
 * socket with SO_REUSEPORT, also after the last descriptor here is closed. 0 or -errno;
 * -EPERM and -ENOSYS where the kernel does not allow BPF.
 */
int refuse_new(int fd) MUST_CHECK;

/* Ends that, for one which joins a group that is being closed. 0 also if there was
 * none; or -errno. */
int refuse_none(int fd) MUST_CHECK;

#endif /* NINES_OS_REFUSE_H */
