/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Balancing. Servers that may be picked are in the heap of their tier; what the heap is
 * ordered by depends on the kind:
 *
 *	round robin		virtual time of the next turn (stride scheduling: a turn
 *	idle capacity		costs 1/weight, so weights interleave instead of
 *clumping) least connections	(active + 1) / weight, then least recently picked
 *	random, hash		not at all: the heap is just an array of candidates
 *
 * Idle capacity is round robin whose caller moves the shares.
 */
#include <string.h>

#include "proxy/servers/balance.h"

#define STRIDE	   ((uint64_t)1 << 32) /* virtual time of a turn at worth 1 */
#define POINTS	   128		       /* on the ring, per unit of weight */
#define POINTS_MAX ((uint64_t)1 << 17) /* of all servers; weights are scaled to fit */
#define WALK_MAX   32 /* points passed before servers are asked instead */
#define GOLDEN	   UINT64_C(0x9e3779b97f4a7c15)

uint64_t
balance_hash(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint64_t h = len;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return rng_mix(h);
}

static bool
counts(const struct balance_server *s) /* towards its tier being able to serve */
{
	return s->usable && s->weight > 0;
}

static struct balance_tier *
tier_of(struct balancer *b, size_t i)
{
	return &b->tier[b->server[i].backup && !b->joined ? 1 : 0];
}

static bool
in_turn(const struct balancer *b)
{
	return b->kind == BALANCE_ROUND_ROBIN || b->kind == BALANCE_IDLE_CAPACITY;
}

static uint64_t
worth(const struct balance_server *s)
{
	return (uint64_t)s->weight * s->share;
}

static uint64_t
stride(const struct balance_server *s)
{
	return STRIDE / worth(s);
}

/* -1, 0, 1: `x` has less to do for its weight than `y`, as much, more. */
static int
load_compare(const struct balance_server *x, const struct balance_server *y)
{
	uint64_t lx = ((uint64_t)x->active + 1) * worth(y);
	uint64_t ly = ((uint64_t)y->active + 1) * worth(x);

	return (lx > ly) - (lx < ly);
}

static inline bool
before(const struct balancer *b, uint32_t i, uint32_t k)
{
	const struct balance_server *x = &b->server[i], *y = &b->server[k];
	int load;

	if (!in_turn(b)) {
		if (b->kind != BALANCE_LEAST_CONNECTIONS)
			return false;
		load = load_compare(x, y);
		if (load != 0)
			return load < 0;
	}
	/* Virtual time wraps; keys are never far apart. */
	if (x->key != y->key)
		return (int64_t)(x->key - y->key) < 0;
	return i < k;
}

static void
place(struct balancer *b, struct balance_tier *t, uint32_t i, size_t pos)
{
	t->heap[pos - 1] = i;
	b->server[i].pos = (uint32_t)pos;
}

/* The server `i` rises from the free place at `pos` as far as it has to. Its place. */
static size_t
rise(struct balancer *b, struct balance_tier *t, uint32_t i, size_t pos)
{
	while (pos > 1 && before(b, i, t->heap[pos / 2 - 1])) {
		place(b, t, t->heap[pos / 2 - 1], pos);
		pos /= 2;
	}
	place(b, t, i, pos);
	return pos;
}

/* Of those below `pos` the one that comes first; more than t->n: there is none. */
static size_t
below(const struct balancer *b, const struct balance_tier *t, size_t pos)
{
	size_t child = pos * 2;

	if (child < t->n && before(b, t->heap[child], t->heap[child - 1]))
		child++;
	return child;
}

/* The first server has had its turn. It belongs near the end, so it goes all the way
 * and comes back a step or none, which takes half of the comparisons. */
static void
sink_first(struct balancer *b, struct balance_tier *t)
{
	uint32_t i = t->heap[0];
	size_t pos = 1, child;

	while ((child = below(b, t, pos)) <= t->n) {
		place(b, t, t->heap[child - 1], pos);
		pos = child;
	}
	(void)rise(b, t, i, pos);
}

/* Moves the server at `pos` to where it belongs. */
static void
sift(struct balancer *b, struct balance_tier *t, size_t pos)
{
	uint32_t i = t->heap[pos - 1];
	size_t child;

	pos = rise(b, t, i, pos);
	while ((child = below(b, t, pos)) <= t->n) {
		if (!before(b, t->heap[child - 1], i))
			break;
		place(b, t, t->heap[child - 1], pos);
		pos = child;
	}
	place(b, t, i, pos);
}

static void
heap_add(struct balancer *b, size_t i)
{
	struct balance_tier *t = tier_of(b, i);

	t->heap[t->n++] = (uint32_t)i;
	sift(b, t, t->n);
}

static void
heap_remove(struct balancer *b, size_t i)
{
	struct balance_tier *t = tier_of(b, i);
	size_t pos = b->server[i].pos;
	uint32_t last = t->heap[--t->n];

	b->server[i].pos = 0;
	if (last == i)
		return;
	place(b, t, last, pos);
	sift(b, t, pos);
}

static void
resift(struct balancer *b, size_t i)
{
	if (b->server[i].pos != 0)
		sift(b, tier_of(b, i), b->server[i].pos);
}

/* Into the heap or out of it, as its state has it. */
static void
settle(struct balancer *b, size_t i)
{
	struct balance_server *s = &b->server[i];
	bool pickable = counts(s) && !s->full;
	uint64_t now = tier_of(b, i)->turn;

	if (pickable == (s->pos != 0))
		return;
	if (!pickable) {
		heap_remove(b, i);
		return;
	}
	/* Whoever was away has no turns saved up, or it would get a burst of them. */
	if (in_turn(b) && (int64_t)(s->key - now) < 0)
		s->key = now + stride(s) / 2;
	heap_add(b, i);
}

/* Weights are halved until all points fit, so a set of servers has the same ring
 * everywhere, and mostly also when one is added. */
static unsigned
ring_shift(const struct balance_server *server, size_t n)
{
	uint64_t total = 0;
	unsigned shift = 0;

	for (size_t i = 0; i < n; i++)
		total += (uint64_t)server[i].weight * POINTS;
	while (total >> shift > POINTS_MAX)
		shift++;
	return shift;
}

static size_t
ring_points(const struct balance_server *s, unsigned shift)
{
	size_t points = (size_t)s->weight * POINTS >> shift;

	return points == 0 && s->weight > 0 ? 1 : points;
}

size_t
balance_ring_size(enum balance kind, const struct balance_server *server, size_t n)
{
	unsigned shift = ring_shift(server, n);
	size_t points = 0;

	if (kind != BALANCE_HASH)
		return 0;
	for (size_t i = 0; i < n; i++)
		points += ring_points(&server[i], shift);
	return points;
}

static bool
point_before(const struct balancer *b, const struct balance_point *x,
    const struct balance_point *y)
{
	if (x->at != y->at)
		return x->at < y->at;
	return b->server[x->server].id < b->server[y->server].id;
}

static void
point_sink(struct balancer *b, size_t i, size_t n)
{
	struct balance_point *r = b->ring, x = r[i];
	size_t child;

	while ((child = 2 * i + 1) < n) {
		if (child + 1 < n && point_before(b, &r[child], &r[child + 1]))
			child++;
		if (!point_before(b, &x, &r[child]))
			break;
		r[i] = r[child];
		i = child;
	}
	r[i] = x;
}

/* A heap sort: in place, and no input makes it slow. */
static void
ring_sort(struct balancer *b)
{
	struct balance_point x;

	for (size_t i = b->n_ring / 2; i-- > 0;)
		point_sink(b, i, b->n_ring);
	for (size_t n = b->n_ring; n-- > 1;) {
		x = b->ring[0];
		b->ring[0] = b->ring[n];
		b->ring[n] = x;
		point_sink(b, 0, n);
	}
}

static void
ring_build(struct balancer *b)
{
	unsigned shift = ring_shift(b->server, b->n);

	for (size_t i = 0; i < b->n; i++) {
		const struct balance_server *s = &b->server[i];
		size_t points = ring_points(s, shift);

		for (size_t k = 1; k <= points; k++)
			b->ring[b->n_ring++] = (struct balance_point){
			    .at = rng_mix(s->id + k * GOLDEN),
			    .server = (uint32_t)i,
			};
	}
	ring_sort(b);
}

/* Counts `i` in its tier, or no more. */
static void
enter(struct balancer *b, size_t i)
{
	const struct balance_server *s = &b->server[i];
	struct balance_tier *t = tier_of(b, i);

	if (!counts(s))
		return;
	t->usable++;
	t->weight += s->weight;
	b->usable_active += !s->backup;
}

static void
leave(struct balancer *b, size_t i)
{
	const struct balance_server *s = &b->server[i];
	struct balance_tier *t = tier_of(b, i);

	if (!counts(s))
		return;
	t->usable--;
	t->weight -= s->weight;
	b->usable_active -= !s->backup;
}

/* Backups go from one tier to the other. */
static void
set_joined(struct balancer *b, bool joined)
{
	for (size_t i = 0; i < b->n; i++) {
		if (!b->server[i].backup)
			continue;
		leave(b, i);
		if (b->server[i].pos != 0)
			heap_remove(b, i);
	}
	b->joined = joined;
	for (size_t i = 0; i < b->n; i++) {
		if (!b->server[i].backup)
			continue;
		enter(b, i);
		/* The tiers' virtual times have nothing to do with each other. */
		if (in_turn(b) && b->server[i].weight > 0)
			b->server[i].key =
			    tier_of(b, i)->turn + stride(&b->server[i]) / 2;
		settle(b, i);
	}
}

static void
update_joined(struct balancer *b)
{
	bool join = b->usable_active * 100 < (uint64_t)b->backup_below * b->n_active;

	if (join != b->joined)
		set_joined(b, join);
}

void
balance_init(struct balancer *b, enum balance kind, struct balance_server *server,
    size_t n, uint32_t *heap, struct balance_point *ring)
{
	memset(b, 0, sizeof(*b));
	b->kind = kind;
	b->server = server;
	b->n = n;
	b->tier[0].heap = heap;
	b->tier[1].heap = heap + n;
	b->ring = ring;
	for (size_t i = 0; i < n; i++) {
		struct balance_server *s = &server[i];

		s->usable = true;
		s->full = false;
		s->share = BALANCE_SHARE;
		s->pos = 0;
		s->key = 0;
		b->load += s->active;
		b->n_active += !s->backup && s->weight > 0;
		if (in_turn(b) && s->weight > 0)
			s->key = stride(s) * (2 * i + 1) / (2 * n);
		enter(b, i);
		if (counts(s))
			heap_add(b, i);
	}
	if (kind == BALANCE_HASH)
		ring_build(b);
}

void
balance_begin(struct balancer *b, struct rng *rng)
{
	size_t first = b->n > 0 ? rng_below(rng, (uint32_t)b->n) : 0;

	b->tier[0].n = b->tier[1].n = 0;
	for (size_t i = 0; i < b->n; i++) {
		struct balance_server *s = &b->server[i];
		size_t nth = (i + b->n - first) % b->n;
		bool heaped = s->pos != 0;

		s->pos = 0;
		s->key = nth;
		if (in_turn(b) && s->weight > 0)
			s->key = stride(s) * (2 * nth + 1) / (2 * b->n);
		if (heaped)
			heap_add(b, i);
	}
	b->tier[0].turn = b->tier[1].turn = in_turn(b) ? 0 : b->n;
}

void
balance_backups(struct balancer *b, unsigned below, bool full)
{
	b->backup_below = below;
	b->backup_full = full;
	update_joined(b);
}

void
balance_bound(struct balancer *b, unsigned bound)
{
	b->bound = bound;
}

void
balance_share(struct balancer *b, size_t i, uint32_t share)
{
	ASSERT(share > 0 && share <= BALANCE_SHARE);
	b->server[i].share = share;
	if (b->kind == BALANCE_LEAST_CONNECTIONS)
		resift(b, i);
}

void
balance_weight(struct balancer *b, size_t i, uint32_t weight)
{
	struct balance_server *s = &b->server[i];

	leave(b, i);
	b->n_active -= !s->backup && s->weight > 0;
	if (s->pos != 0) /* what it is worth divides by it */
		heap_remove(b, i);
	s->weight = weight;
	b->n_active += !s->backup && weight > 0;
	enter(b, i);
	settle(b, i);
	update_joined(b);
}

void
balance_usable(struct balancer *b, size_t i, bool usable)
{
	leave(b, i);
	b->server[i].usable = usable;
	enter(b, i);
	settle(b, i);
	update_joined(b);
}

void
balance_full(struct balancer *b, size_t i, bool full)
{
	b->server[i].full = full;
	settle(b, i);
}

static uint32_t
pick_random(const struct balancer *b, const struct balance_tier *t, struct rng *rng)
{
	uint32_t x = rng_below(rng, (uint32_t)t->n), y;

	if (t->n == 1)
		return t->heap[0];
	y = rng_below(rng, (uint32_t)t->n - 1);
	y += y >= x; /* two different ones */
	x = t->heap[x];
	y = t->heap[y];
	return load_compare(&b->server[x], &b->server[y]) <= 0 ? x : y;
}

/* Its load is within the bound: not above the average that its weight is due, times
 * b->bound. */
static bool
bounded(const struct balancer *b, const struct balance_tier *t,
    const struct balance_server *s)
{
	return b->bound == 0 || (uint64_t)s->active * 100 * t->weight <
				    b->bound * (b->load + 1) * s->weight;
}

/* Of the candidates the one that `hash` likes best (rendezvous hashing), if there are
 * any one within the bound. */
static uint32_t
pick_favourite(const struct balancer *b, const struct balance_tier *t, uint64_t hash)
{
	uint32_t best = t->heap[0];
	uint64_t score, best_score = 0;
	bool any = false;

	for (size_t k = 0; k < t->n; k++)
		any |= bounded(b, t, &b->server[t->heap[k]]);
	for (size_t k = 0; k < t->n; k++) {
		if (any && !bounded(b, t, &b->server[t->heap[k]]))
			continue;
		score = rng_mix(hash ^ rng_mix(b->server[t->heap[k]].id));
		if (score > best_score || (score == best_score && t->heap[k] < best)) {
			best = t->heap[k];
			best_score = score;
		}
	}
	return best;
}

/*
 * The first candidate from the hash's place on, so that a server that leaves moves its
 * own keys only. A ring of mostly absent servers would be a long walk: after WALK_MAX
 * points the few candidates are asked themselves, which moves no other keys either.
 */
static uint32_t
pick_hash(struct balancer *b, const struct balance_tier *t, uint64_t hash)
{
	uint64_t at = rng_mix(hash);
	size_t low = 0, high = b->n_ring, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (b->ring[mid].at < at)
			low = mid + 1;
		else
			high = mid;
	}
	for (size_t k = 0; k < WALK_MAX && k < b->n_ring; k++, low++) {
		const struct balance_server *s;

		if (low >= b->n_ring)
			low = 0;
		s = &b->server[b->ring[low].server];
		if (s->pos != 0 && t == tier_of(b, b->ring[low].server) &&
		    bounded(b, t, s))
			return b->ring[low].server;
	}
	return pick_favourite(b, t, at);
}

static uint32_t
pick_from(struct balancer *b, struct balance_tier *t, struct rng *rng, uint64_t hash)
{
	uint32_t i = t->heap[0];
	struct balance_server *s = &b->server[i];

	switch (b->kind) {
	case BALANCE_RANDOM:
		return pick_random(b, t, rng);
	case BALANCE_HASH:
		return pick_hash(b, t, hash);
	case BALANCE_LEAST_CONNECTIONS:
		s->key = ++t->turn;
		break;
	case BALANCE_ROUND_ROBIN:
	case BALANCE_IDLE_CAPACITY:
	default:
		t->turn = s->key;
		s->key += stride(s);
		break;
	}
	sink_first(b, t);
	return i;
}

static bool
listed(const uint32_t *list, size_t n, uint32_t i)
{
	for (size_t k = 0; k < n; k++)
		if (list[k] == i)
			return true;
	return false;
}

int
balance_pick(struct balancer *b, struct rng *rng, uint64_t hash, const uint32_t *tried,
    size_t n_tried)
{
	struct balance_tier *t = &b->tier[b->tier[0].usable == 0 ? 1 : 0];
	uint32_t aside[BALANCE_TRIED_MAX];
	size_t n_aside = 0, n_usable = t->usable;
	int picked;

	ASSERT(n_tried <= BALANCE_TRIED_MAX);
	for (size_t k = 0; k < n_tried; k++) {
		struct balance_server *s = &b->server[tried[k]];

		if (listed(tried, k, tried[k]))
			continue;
		if (tier_of(b, tried[k]) == t)
			n_usable -= counts(s);
		if (s->pos == 0)
			continue;
		heap_remove(b, tried[k]);
		aside[n_aside++] = tried[k];
	}
	if (t->n == 0 && n_usable > 0 && b->backup_full)
		t = &b->tier[1];
	if (t->n > 0)
		picked = (int)pick_from(b, t, rng, hash);
	else
		picked = n_usable > 0 ? BALANCE_FULL : BALANCE_NONE;
	while (n_aside > 0)
		heap_add(b, aside[--n_aside]);
	return picked;
}

bool
balance_choice(const struct balancer *b, size_t i)
{
	const struct balance_tier *t = &b->tier[b->tier[0].usable == 0 ? 1 : 0];

	return t->n > (b->server[i].pos != 0);
}

void
balance_take(struct balancer *b, size_t i)
{
	b->load++;
	b->server[i].active++;
	if (b->kind == BALANCE_LEAST_CONNECTIONS)
		resift(b, i);
}

void
balance_put(struct balancer *b, size_t i)
{
	ASSERT(b->server[i].active > 0);
	b->load--;
	b->server[i].active--;
	if (b->kind == BALANCE_LEAST_CONNECTIONS)
		resift(b, i);
}

bool
balance_check(const struct balancer *b)
{
	size_t usable[2] = {0, 0}, heaped[2] = {0, 0};
	uint64_t load = 0, weight[2] = {0, 0};

	for (size_t i = 0; i < b->n; i++) {
		const struct balance_server *s = &b->server[i];
		size_t tier = s->backup && !b->joined ? 1 : 0;
		const struct balance_tier *t = &b->tier[tier];
		bool pickable = counts(s) && !s->full;

		load += s->active;
		usable[tier] += counts(s);
		weight[tier] += counts(s) ? s->weight : 0;
		heaped[tier] += pickable;
		if (pickable != (s->pos != 0) || s->pos > t->n)
			return false;
		if (s->pos == 0)
			continue;
		if (t->heap[s->pos - 1] != i)
			return false;
		if (s->pos > 1 && before(b, (uint32_t)i, t->heap[s->pos / 2 - 1]))
			return false;
	}
	for (size_t k = 0; k < 2; k++)
		if (b->tier[k].usable != usable[k] || b->tier[k].n != heaped[k] ||
		    b->tier[k].weight != weight[k])
			return false;
	return b->load == load;
}
