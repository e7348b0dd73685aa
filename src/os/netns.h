/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netns.h - network namespaces by name, as `ip netns` keeps them in /run/netns.
 *
 * What must happen inside another namespace happens in the calling thread, which is
 * back in its own when a call returns; only netns_enter() moves it for good.
 */
#ifndef NINES_OS_NETNS_H
#define NINES_OS_NETNS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/check.h"

/* The calling thread moves there for good. 0 or -errno. */
int netns_enter(const char *name) MUST_CHECK;

/* A socket of that namespace (close-on-exec), or -errno. */
int netns_socket(const char *name, int domain, int type, int protocol) MUST_CHECK;

/* Sets one interface up or down; 0 or -errno. */
int netns_link_set(const char *name, const char *interface, bool up) MUST_CHECK;

/* Is it up with a working cable, as far as all of the kernel knows by now? */
bool netns_link_running(const char *name, const char *interface);

/* setting_write() in that namespace. */
int netns_setting(const char *name, const char *setting, const char *value) MUST_CHECK;

/*
 * Sends `signo` to every process in the namespace, in order of age, except `spare`
 * (0: none) and, with `comm` given, except those of another name. Returns how many
 * it reached, or -errno. Zombies do not count.
 */
int netns_signal(const char *name, int signo, const char *comm, pid_t spare);

#endif /* NINES_OS_NETNS_H */
