/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster_files.h - the files beside the cluster file, which services name by path.
 */
#ifndef NINES_CONFIG_CLUSTER_FILES_H
#define NINES_CONFIG_CLUSTER_FILES_H

#include "config/cluster.h"

#define CLUSTER_PATH_MAX 1000	 /* characters of such a file's name */
#define OCSP_SUFFIX	 ".ocsp" /* the answer to staple lies beside the certificate */

/*
 * Calls `each` for every file that the services of `me` name, in the order of the
 * cluster file; one that several of them name comes several times. `optional`: it may
 * be missing.
 */
void cluster_files(const struct cluster *c, const struct host *me,
    void (*each)(void *arg, const char *path, bool optional), void *arg);

/* True if clients on `port` of `s` speak TLS to this program. */
bool service_port_has_tls(const struct service *s, uint16_t port);

#endif /* NINES_CONFIG_CLUSTER_FILES_H */
