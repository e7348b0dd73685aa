/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crowd.h - many clients of one address, served by one thread in their namespace
 * (private to lab/).
 *
 * The thread calls `ready` for each connection of which there is news and then `tick`,
 * at least every `tick_ns`, both under `lock`. Who embeds a crowd keeps there what
 * other threads ask it for, and takes the lock to answer them.
 */
#ifndef NINES_LAB_CROWD_H
#define NINES_LAB_CROWD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/ip.h"
#include "base/mono.h"

struct crowd_conf {
	const char *netns; /* NULL: where we are */
	int64_t tick_ns;
	void (*ready)(void *self, void *client, mono_t now);
	void (*tick)(void *self, mono_t now);
	void *self;
};

struct crowd {
	struct crowd_conf conf;
	struct sockaddr_storage to;
	socklen_t to_len;
	int ep;
	_Atomic bool stop;
	pthread_t thread;
	pthread_mutex_t lock;
};

/* 0, or -errno with nothing left to stop. */
int crowd_start(struct crowd *c, const struct crowd_conf *conf,
    const struct ip_endpoint *target) MUST_CHECK;

/* The thread has ended; the connections are as it left them. */
void crowd_stop(struct crowd *c);

/* From the thread: a connection that is being made, to wait for (`ready`, when it may
 * write); -errno. */
int crowd_dial(const struct crowd *c, void *client) MUST_CHECK;

/* From the thread, once it may write: whether it was made. `ready` is called for these
 * events of epoll from then on. */
bool crowd_dialled(const struct crowd *c, int fd, void *client, uint32_t events);

/* Closes a connection by a reset, so that nothing of it lingers; -1 is fine. */
void crowd_hang_up(int fd);

#endif /* NINES_LAB_CROWD_H */
