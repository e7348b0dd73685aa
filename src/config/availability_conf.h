/* SPDX-License-Identifier: Apache-2.0 */
/*
 * availability_conf.h - the parts of cluster.h about what may fail, and how often.
 *
 * Nothing here changes what runs: `nines spof` reasons with it.
 */
#ifndef NINES_CONFIG_AVAILABILITY_CONF_H
#define NINES_CONFIG_AVAILABILITY_CONF_H

#include <stdint.h>

/* What a service must go on through, each alone: bits of service.must_survive. */
#define SURVIVE_HOST	 1U /* any host, and any part, link or server of one */
#define SURVIVE_ZONE	 2U
#define SURVIVE_NETWORK	 4U
#define SURVIVE_EXTERNAL 8U /* any one place of what others run, any certificate */

enum availability_kind {
	AVAIL_HOST,
	AVAIL_PART,
	AVAIL_LINK,
	AVAIL_NETWORK,
	AVAIL_ZONE,
	AVAIL_SERVER,
	AVAIL_OUTSIDE,	   /* what is not one of the file's hosts */
	AVAIL_CERTIFICATE, /* one that somebody must renew in time */
	AVAIL_KINDS
};

/* "host": in the cluster file, in `--rates`, in a history. */
extern const char *const availability_kind_name[AVAIL_KINDS];

struct availability_rate {
	int64_t mtbf_ns; /* from one failure to the next, at least 1 minute */
	int64_t mttr_ns; /* from a failure to its repair */
};

struct availability_conf {
	struct availability_rate rate[AVAIL_KINDS];
};

#endif /* NINES_CONFIG_AVAILABILITY_CONF_H */
