/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters.h - what the proxy counts, for each service and server and each worker.
 *
 * One table gives the order in the shared segment and the names (base/stats.h).
 */
#ifndef NINES_PROXY_COUNTERS_H
#define NINES_PROXY_COUNTERS_H

#include "base/stats.h"

#define SERVICE_COUNTERS(X)                                                           \
	X(CONNECTIONS, "connections")	  /* accepted */                              \
	X(ACTIVE, "active")		  /* connections now */                       \
	X(REQUESTS, "requests")		  /* heads read; tcp: connections */          \
	X(RESPONSES_1XX, "responses_1xx") /* sent, the proxy's own included */        \
	X(RESPONSES_2XX, "responses_2xx")                                             \
	X(RESPONSES_3XX, "responses_3xx")                                             \
	X(RESPONSES_4XX, "responses_4xx")                                             \
	X(RESPONSES_5XX, "responses_5xx")                                             \
	X(BYTES_IN, "bytes_in")	  /* from clients, heads not counted */               \
	X(BYTES_OUT, "bytes_out") /* to clients, heads not counted */                 \
	X(REFUSED, "refused")	  /* malformed requests */                            \
	X(ABORTED, "aborted")	  /* clients that left before the end of an answer */ \
	X(UNSERVED, "unserved")	  /* no server could be reached */                    \
	X(TIMEOUTS, "timeouts")	  /* of clients: head, idle in the middle */          \
	X(QUEUE, "queue")	  /* waiting for a server now */                      \
	X(QUEUE_TIMEOUTS, "queue_timeouts")                                           \
	X(BREAKER_OPENED, "breaker_opened")	      /* by errors of a group */      \
	X(BREAKER_REFUSED, "breaker_refused")	      /* requests meanwhile */        \
	X(COMPRESSED, "compressed")		      /* answers */                   \
	X(TLS_HANDSHAKES, "tls_handshakes")	      /* that succeeded */            \
	X(TLS_RESUMED, "tls_resumed")		      /* of these, by a ticket */     \
	X(TLS_ERRORS, "tls_errors")		      /* handshakes, records */       \
	X(TLS_BAD_RECORDS, "tls_bad_records")	      /* of these, the latter */      \
	X(CERTIFICATE_EXPIRES, "certificate_expires") /* seconds since the epoch */

#define SERVER_COUNTERS(X)                                                   \
	X(REQUESTS, "requests")	      /* sent, repeated ones included */     \
	X(ACTIVE, "active")	      /* requests (tcp: connections) now */  \
	X(CONNECTIONS, "connections") /* opened */                           \
	X(CONNECT_ERRORS, "connect_errors")                                  \
	X(CONNECTS_LEFT, "connects_left") /* another was asked as well */    \
	X(RETRIES, "retries")		  /* requests taken elsewhere */     \
	X(TIMEOUTS, "timeouts")		  /* no answer in time */            \
	X(ERRORS, "errors")		  /* broken or malformed answers */  \
	X(RESPONSES_5XX, "responses_5xx")                                    \
	X(FAILURES, "failures")	    /* that took it out of rotation */       \
	X(LAST_ERRNO, "last_errno") /* of the last failure */                \
	X(DOUBTS, "doubts")	    /* that it would ever answer */          \
	X(EJECTIONS, "ejections")   /* for answers worse than the others' */ \
	X(HEDGES, "hedges")	    /* requests asked here as the second */  \
	X(HEDGES_WON, "hedges_won") /* and answered first */

enum service_counter {
#define X(id, name) SVC_##id,
	SERVICE_COUNTERS(X)
#undef X
	    SVC_N
};

enum server_counter {
#define X(id, name) SRV_##id,
	SERVER_COUNTERS(X)
#undef X
	    SRV_N
};

static inline void
count(stats_t *block, unsigned field)
{
	stats_add(&block[field], 1);
}

#endif /* NINES_PROXY_COUNTERS_H */
