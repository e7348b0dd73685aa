/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web.h - the web servers behind the balancers (private to lab/).
 *
 * Every one answers /health with 200, /download and /push with a body that does not
 * end, everything else with the host's name and the number of the request
 * ("web1 id=7"); all with 500 while the file DIR/error exists, and WEB_SLOW_NS late
 * while DIR/slow does. POST /write?id=7 with "7\n" as its body is a write: its number
 * is appended to DIR/journal before it is answered. The built-in server does it by
 * itself. nginx does it by a
 * configuration, and has a built-in server behind it for what it cannot do alone.
 */
#ifndef NINES_LAB_WEB_H
#define NINES_LAB_WEB_H

#include "base/check.h"
#include "base/mono.h"
#include "base/sbuf.h"
#include "config/cluster.h"

#define WEB_BACK    "127.0.0.1:65001" /* the built-in server behind nginx */
#define WEB_JOURNAL "journal"
#define WEB_SLOW_NS (80 * MS_NS)

/* A configuration of nginx for all servers on `h`; `dir` is for its files. */
void web_nginx_conf(
    const struct cluster *c, const struct host *h, const char *dir, struct sbuf *out);

/*
 * The bodies that do not end: byte `at` of them, the same for everybody, so that a
 * client sees at once when one is lost, doubled or changed. Pure.
 */
uint8_t web_byte(uint64_t at);

/* `nines lab web NAME DIR PORT|ADDRESS:PORT...`, started in the host's namespace. */
int web_main(int argc, char **argv);

#endif /* NINES_LAB_WEB_H */
