/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_worker.c - what a worker has for all that speaks HTTP/2, clients and servers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/h2/h2_trunk.h"
#include "proxy/worker_inside.h"

#define FRAME_ROOM 17408 /* a frame with its header, and something */

int
h2_worker_init(struct worker *w)
{
	struct h2_worker *hw = calloc(1, sizeof(*hw));

	if (hw == NULL)
		return -ENOMEM;
	h2_memory_init(&hw->memory);
	list_init(&hw->dirty);
	list_init(&hw->free);
	list_init(&hw->dirty_trunks);
	list_init(&hw->ended_trunks);
	list_init(&hw->free_places);
	if (nghttp2_option_new(&hw->option) != 0) {
		h2_worker_free(hw);
		return -ENOMEM;
	}
	/* Windows follow what servers take, not what has arrived. */
	nghttp2_option_set_no_auto_window_update(hw->option, 1);
	nghttp2_option_set_no_closed_streams(hw->option, 1);
	w->h2 = hw;
	return 0;
}

void
h2_worker_free(struct h2_worker *h)
{
	if (h == NULL)
		return;
	LIST_EACH(n, tmp, &h->free)
	{
		free(CONTAINER(n, struct h2_stream, link));
	}
	LIST_EACH(n, tmp, &h->free_places)
	{
		free(CONTAINER(n, struct h2_place, link));
	}
	nghttp2_session_callbacks_del(h->callbacks);
	nghttp2_session_callbacks_del(h->trunk_callbacks);
	nghttp2_option_del(h->option);
	h2_memory_done(&h->memory);
	free(h);
}

bool
h2_busy(const struct worker *w)
{
	return w->h2 != NULL &&
	       (!list_empty(&w->h2->dirty) || !list_empty(&w->h2->dirty_trunks));
}

int
h2_collect(nghttp2_session *ng, struct buf *b)
{
	const uint8_t *p;
	ssize_t n;

	while (b->cap - b->len >= FRAME_ROOM) {
		n = nghttp2_session_mem_send(ng, &p);
		if (n < 0 || (size_t)n > b->cap - b->len)
			return -EIO;
		if (n == 0)
			return 0;
		memcpy(b->data + b->len, p, (size_t)n);
		b->len += (uint32_t)n;
	}
	return 0;
}
