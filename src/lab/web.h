/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web.h - the web servers behind the balancers (private to lab/).
 *
 * Every one answers /health with 200, everything else with the host's name and the
 * number of the request ("web1 id=7"), and all with 500 while the file DIR/error
 * exists. nginx does it by a configuration, the built-in server by itself.
 */
#ifndef NINES_LAB_WEB_H
#define NINES_LAB_WEB_H

#include "base/check.h"
#include "base/sbuf.h"
#include "config/cluster.h"

/* A configuration of nginx for all servers on `h`; `dir` is for its files. */
void web_nginx_conf(
    const struct cluster *c, const struct host *h, const char *dir, struct sbuf *out);

/* `nines lab web NAME DIR PORT...`, started in the host's namespace. */
int web_main(int argc, char **argv);

#endif /* NINES_LAB_WEB_H */
