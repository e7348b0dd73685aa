/* SPDX-License-Identifier: Apache-2.0 */
#include "os/steer.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "os/bpf.h"

enum {
	INSN_MAX = 128,
	EXIT_MAX = 12,
	REQ_SIZE = 512,
	FILTER_PRIO = 0x6e00,
	WINDOW = 1 << 24, /* farther from what a socket expects, it is not its packet */
	/* An acknowledgement may overtake the sender's own books, by a packet at most.
	 */
	PACKET = 1 << 18,
	/* The program's stack, below the frame pointer. */
	AT_IP = -40,	 /* the IP head: 20 or 40 bytes */
	AT_TCP = -56,	 /* 14 bytes of the TCP head */
	AT_TUPLE = -96,	 /* struct bpf_sock_tuple: 12 or 36 bytes */
	AT_HOP = -104,	 /* hops left, 2 bytes */
	AT_NEIGH = -128, /* struct bpf_redir_neigh: 20 bytes */
};

/* struct bpf_insn without its bit-fields, which depend on the order of bytes. */
struct insn {
	uint8_t code;
	uint8_t registers;
	int16_t off;
	int32_t imm;
};

_Static_assert(sizeof(struct insn) == sizeof(struct bpf_insn), "layout");

/* A program under construction; `pass` are the jumps to its last two instructions. */
struct prog {
	struct insn insn[INSN_MAX];
	size_t n;
	size_t pass[EXIT_MAX];
	size_t n_pass;
};

static uint8_t
registers(uint8_t dst, uint8_t src)
{
	if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
		return (uint8_t)(src << 4 | dst);
	return (uint8_t)(dst << 4 | src);
}

static void
put(struct prog *p, uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
	ASSERT(p->n < INSN_MAX);
	p->insn[p->n++] = (struct insn){
	    .code = code, .registers = registers(dst, src), .off = off, .imm = imm};
}

static void
mov(struct prog *p, uint8_t dst, uint8_t src)
{
	put(p, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

static void
mov_imm(struct prog *p, uint8_t dst, int32_t imm)
{
	put(p, BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm);
}

static void
alu_imm(struct prog *p, uint8_t op, uint8_t dst, int32_t imm)
{
	put(p, (uint8_t)(BPF_ALU64 | BPF_K | op), dst, 0, 0, imm);
}

/* dst = address of the stack at `at` */
static void
stack_address(struct prog *p, uint8_t dst, int at)
{
	mov(p, dst, BPF_REG_10);
	alu_imm(p, BPF_ADD, dst, at);
}

static void
load(struct prog *p, uint8_t size, uint8_t dst, uint8_t base, int off)
{
	put(p, (uint8_t)(BPF_LDX | BPF_MEM | size), dst, base, (int16_t)off, 0);
}

static void
store(struct prog *p, uint8_t size, int at, uint8_t src)
{
	put(p, (uint8_t)(BPF_STX | BPF_MEM | size), BPF_REG_10, src, (int16_t)at, 0);
}

static void
store_imm(struct prog *p, int at, int32_t imm)
{
	put(p, BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, (int16_t)at, imm);
}

static void
call(struct prog *p, int32_t helper)
{
	put(p, BPF_JMP | BPF_CALL, 0, 0, 0, helper);
}

/* To the end, where the packet passes, if `reg op imm`. */
static void
pass_if(struct prog *p, uint8_t op, uint8_t reg, int32_t imm)
{
	ASSERT(p->n_pass < EXIT_MAX);
	p->pass[p->n_pass++] = p->n;
	put(p, (uint8_t)(BPF_JMP | BPF_K | op), reg, 0, 0, imm);
}

/* The same for 32-bit values whose high bit may be set. */
static void
pass_if_not32(struct prog *p, uint8_t reg, uint32_t value)
{
	ASSERT(p->n_pass < EXIT_MAX);
	p->pass[p->n_pass++] = p->n;
	put(p, BPF_JMP32 | BPF_K | BPF_JNE, reg, 0, 0, (int32_t)value);
}

/* Copies `len` bytes of the packet from offset r2 to the stack at `at`. */
static void
fetch(struct prog *p, int at, int32_t len)
{
	mov(p, BPF_REG_1, BPF_REG_6);
	stack_address(p, BPF_REG_3, at);
	mov_imm(p, BPF_REG_4, len);
	call(p, BPF_FUNC_skb_load_bytes);
	pass_if(p, BPF_JNE, BPF_REG_0, 0);
}

static uint32_t
word_of(const uint8_t *p)
{
	uint32_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

/* Leaves the IP and TCP heads on the stack; passes all that is not ours. */
static void
put_match(struct prog *p, const struct ip *address)
{
	bool v4 = address->family == AF_INET;

	mov(p, BPF_REG_6, BPF_REG_1);
	load(p, BPF_W, BPF_REG_0, BPF_REG_6, offsetof(struct __sk_buff, protocol));
	pass_if(p, BPF_JNE, BPF_REG_0, htons(v4 ? ETH_P_IP : ETH_P_IPV6));
	mov_imm(p, BPF_REG_2, ETH_HLEN);
	fetch(p, AT_IP, v4 ? 20 : 40);
	load(p, BPF_B, BPF_REG_0, BPF_REG_10, AT_IP + (v4 ? 9 : 6));
	pass_if(p, BPF_JNE, BPF_REG_0, IPPROTO_TCP);
	for (int i = 0; i < (int)ip_len(address); i += 4) {
		load(p, BPF_W, BPF_REG_0, BPF_REG_10, AT_IP + (v4 ? 16 : 24) + i);
		pass_if_not32(p, BPF_REG_0, word_of(address->byte + i));
	}
	if (v4) { /* later fragments have no ports; the head's length varies */
		load(p, BPF_H, BPF_REG_0, BPF_REG_10, AT_IP + 6);
		pass_if(p, BPF_JSET, BPF_REG_0, htons(0x1fff));
		load(p, BPF_B, BPF_REG_2, BPF_REG_10, AT_IP);
		alu_imm(p, BPF_AND, BPF_REG_2, 15);
		alu_imm(p, BPF_LSH, BPF_REG_2, 2);
		alu_imm(p, BPF_ADD, BPF_REG_2, ETH_HLEN);
	} else {
		mov_imm(p, BPF_REG_2, ETH_HLEN + 40);
	}
	fetch(p, AT_TCP, 14);
	load(p, BPF_B, BPF_REG_0, BPF_REG_10, AT_TCP + 13);
	pass_if(p, BPF_JSET, BPF_REG_0, TH_SYN);
}

/* r2 = the 32-bit number at `off` of the TCP head, as the machine has it */
static void
load_number(struct prog *p, int off)
{
	load(p, BPF_W, BPF_REG_2, BPF_REG_10, AT_TCP + off);
	put(p, BPF_ALU | BPF_END | BPF_TO_BE, BPF_REG_2, 0, 0, 32);
}

/*
 * Leaves in r9 whether a packet may be one of the socket in r0: more than 2 * WINDOW if
 * its numbers are not that connection's. A client may use a port again whose former
 * connection to this host never saw its end (it was cut off, or its client talked to
 * the other host meanwhile): the old socket would answer the new connection's packets
 * for as long as it lives. New connections of a port begin with later numbers (RFC
 * 6528), so what is acknowledged tells them apart also shortly after.
 */
static void
put_distance(struct prog *p)
{
	size_t other, silent, fits;

	mov_imm(p, BPF_REG_9, WINDOW);
	mov(p, BPF_REG_8, BPF_REG_0);
	mov(p, BPF_REG_1, BPF_REG_0);
	call(p, BPF_FUNC_tcp_sock);
	other = p->n; /* not a full socket: a handshake, or what is left of one */
	put(p, BPF_JMP | BPF_K | BPF_JEQ, BPF_REG_0, 0, 0, 0);
	load(p, BPF_W, BPF_REG_1, BPF_REG_0, offsetof(struct bpf_tcp_sock, rcv_nxt));
	load_number(p, 4);
	put(p, BPF_ALU | BPF_SUB | BPF_X, BPF_REG_2, BPF_REG_1, 0, 0);
	put(p, BPF_ALU | BPF_ADD | BPF_X, BPF_REG_9, BPF_REG_2, 0, 0);
	load(p, BPF_B, BPF_REG_2, BPF_REG_10, AT_TCP + 13);
	alu_imm(p, BPF_AND, BPF_REG_2, TH_ACK);
	silent = p->n;
	put(p, BPF_JMP | BPF_K | BPF_JEQ, BPF_REG_2, 0, 0, 0);
	load(p, BPF_W, BPF_REG_1, BPF_REG_0, offsetof(struct bpf_tcp_sock, snd_nxt));
	load_number(p, 8);
	put(p, BPF_ALU | BPF_SUB | BPF_X, BPF_REG_1, BPF_REG_2, 0, 0);
	put(p, BPF_ALU | BPF_K, BPF_REG_1, 0, 0, PACKET); /* BPF_ADD is 0 */
	fits = p->n;
	put(p, BPF_JMP | BPF_K | BPF_JLE, BPF_REG_1, 0, 0, WINDOW + PACKET);
	mov_imm(p, BPF_REG_9, INT32_MAX);
	p->insn[other].off = (int16_t)(p->n - other - 1);
	p->insn[silent].off = (int16_t)(p->n - silent - 1);
	p->insn[fits].off = (int16_t)(p->n - fits - 1);
	mov(p, BPF_REG_0, BPF_REG_8);
}

/* Passes what a socket of this host other than a listener is waiting for. */
static void
put_lookup(struct prog *p, const struct ip *address)
{
	int len = (int)ip_len(address), from = address->family == AF_INET ? 12 : 8;
	size_t unknown, listener;

	for (int i = 0; i < 2 * len; i += 4) { /* source, destination, ports */
		load(p, BPF_W, BPF_REG_0, BPF_REG_10, AT_IP + from + i);
		store(p, BPF_W, AT_TUPLE + i, BPF_REG_0);
	}
	load(p, BPF_W, BPF_REG_0, BPF_REG_10, AT_TCP);
	store(p, BPF_W, AT_TUPLE + 2 * len, BPF_REG_0);
	mov(p, BPF_REG_1, BPF_REG_6);
	stack_address(p, BPF_REG_2, AT_TUPLE);
	mov_imm(p, BPF_REG_3, 2 * len + 4);
	mov_imm(p, BPF_REG_4, BPF_F_CURRENT_NETNS);
	mov_imm(p, BPF_REG_5, 0);
	call(p, BPF_FUNC_skc_lookup_tcp);
	unknown = p->n;
	put(p, BPF_JMP | BPF_K | BPF_JEQ, BPF_REG_0, 0, 0, 0);
	load(p, BPF_W, BPF_REG_7, BPF_REG_0, offsetof(struct bpf_sock, state));
	put_distance(p);
	mov(p, BPF_REG_1, BPF_REG_0);
	call(p, BPF_FUNC_sk_release);
	listener = p->n;
	put(p, BPF_JMP | BPF_K | BPF_JEQ, BPF_REG_7, 0, 0, BPF_TCP_LISTEN);
	pass_if(p, BPF_JLE, BPF_REG_9, 2 * WINDOW);
	p->insn[unknown].off = (int16_t)(p->n - unknown - 1);
	p->insn[listener].off = (int16_t)(p->n - listener - 1);
}

/* One hop less, as a router would. */
static void
put_hop(struct prog *p, bool v4)
{
	const int hop = v4 ? 8 : 7;

	load(p, BPF_B, BPF_REG_7, BPF_REG_10, AT_IP + hop);
	pass_if(p, BPF_JLE, BPF_REG_7, 1);
	alu_imm(p, BPF_SUB, BPF_REG_7, 1);
	if (v4) {
		/* The checksum takes the 16 bits of hops and protocol, before and
		 * after. */
		load(p, BPF_H, BPF_REG_3, BPF_REG_10, AT_IP + hop);
		store(p, BPF_H, AT_HOP, BPF_REG_3);
		store(p, BPF_B, AT_HOP, BPF_REG_7);
		load(p, BPF_H, BPF_REG_4, BPF_REG_10, AT_HOP);
		mov(p, BPF_REG_1, BPF_REG_6);
		mov_imm(p, BPF_REG_2, ETH_HLEN + 10);
		mov_imm(p, BPF_REG_5, 2);
		call(p, BPF_FUNC_l3_csum_replace);
	} else {
		store(p, BPF_B, AT_HOP, BPF_REG_7);
	}
	mov(p, BPF_REG_1, BPF_REG_6);
	mov_imm(p, BPF_REG_2, ETH_HLEN + hop);
	stack_address(p, BPF_REG_3, AT_HOP);
	mov_imm(p, BPF_REG_4, 1);
	mov_imm(p, BPF_REG_5, v4 ? 0 : BPF_F_RECOMPUTE_CSUM);
	call(p, BPF_FUNC_skb_store_bytes);
}

static void
put_redirect(struct prog *p, unsigned index, const struct ip *peer)
{
	const int32_t len = sizeof(struct bpf_redir_neigh);

	for (int i = 0; i < len; i += 4)
		store_imm(p, AT_NEIGH + i, 0);
	store_imm(p, AT_NEIGH, peer->family);
	for (int i = 0; i < (int)ip_len(peer); i += 4)
		store_imm(p, AT_NEIGH + 4 + i, (int32_t)word_of(peer->byte + i));
	mov_imm(p, BPF_REG_1, (int32_t)index);
	stack_address(p, BPF_REG_2, AT_NEIGH);
	mov_imm(p, BPF_REG_3, len);
	mov_imm(p, BPF_REG_4, 0);
	call(p, BPF_FUNC_redirect_neigh);
	put(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static int
load_prog(unsigned index, const struct ip *address, const struct ip *peer)
{
	struct prog p = {.n = 0};

	put_match(&p, address);
	put_lookup(&p, address);
	put_hop(&p, address->family == AF_INET);
	put_redirect(&p, index, peer);
	for (size_t i = 0; i < p.n_pass; i++)
		p.insn[p.pass[i]].off = (int16_t)(p.n - p.pass[i] - 1);
	mov_imm(&p, BPF_REG_0, TC_ACT_UNSPEC);
	put(&p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return bpf_load(BPF_PROG_TYPE_SCHED_CLS, p.insn, p.n);
}

/* One request, one acknowledgement. */
static int
talk(struct nlmsghdr *h)
{
	uint8_t buf[4096];
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int err = 0;
	ssize_t n;

	if (s == NULL)
		return -errno;
	h->nlmsg_seq = 1;
	h->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(s, h, h->nlmsg_len) < 0 ||
	    (n = mnl_socket_recvfrom(s, buf, sizeof(buf))) < 0 ||
	    mnl_cb_run(buf, (size_t)n, 1, mnl_socket_get_portid(s), NULL, NULL) < 0)
		err = -errno;
	(void)mnl_socket_close(s);
	return err;
}

static struct nlmsghdr *
put_head(void *req, uint16_t type, uint16_t flags, unsigned index, uint32_t parent)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(req);
	struct tcmsg *t;

	h->nlmsg_type = type;
	h->nlmsg_flags = flags;
	t = mnl_nlmsg_put_extra_header(h, sizeof(*t));
	t->tcm_family = AF_UNSPEC;
	t->tcm_ifindex = (int)index;
	t->tcm_parent = parent;
	return h;
}

static int
add_ingress(unsigned index)
{
	uint8_t req[REQ_SIZE] __attribute__((aligned(4)));
	struct nlmsghdr *h =
	    put_head(req, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, index, TC_H_CLSACT);
	struct tcmsg *t = mnl_nlmsg_get_payload(h);
	int err;

	t->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	mnl_attr_put_strz(h, TCA_KIND, "clsact");
	err = talk(h);
	return err == -EEXIST ? 0 : err;
}

static struct nlmsghdr *
put_filter(void *req, uint16_t type, uint16_t flags, unsigned index, uint32_t handle)
{
	struct nlmsghdr *h =
	    put_head(req, type, flags, index, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS));
	struct tcmsg *t = mnl_nlmsg_get_payload(h);

	t->tcm_handle = handle;
	t->tcm_info = TC_H_MAKE((uint32_t)FILTER_PRIO << 16, htons(ETH_P_ALL));
	return h;
}

int
steer_set(
    unsigned index, uint32_t handle, const struct ip *address, const struct ip *peer)
{
	uint8_t req[REQ_SIZE] __attribute__((aligned(4)));
	struct nlattr *options;
	struct nlmsghdr *h;
	int err, fd;

	ASSERT(handle != 0);
	if (address->family != peer->family)
		return -EAFNOSUPPORT;
	fd = load_prog(index, address, peer);
	if (fd < 0)
		return fd;
	err = add_ingress(index);
	if (err == 0) {
		h = put_filter(req, RTM_NEWTFILTER, NLM_F_CREATE, index, handle);
		mnl_attr_put_strz(h, TCA_KIND, "bpf");
		options = mnl_attr_nest_start(h, TCA_OPTIONS);
		mnl_attr_put_u32(h, TCA_BPF_FD, (uint32_t)fd);
		mnl_attr_put_strz(h, TCA_BPF_NAME, "nines_steer");
		mnl_attr_put_u32(h, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
		mnl_attr_nest_end(h, options);
		err = talk(h);
	}
	(void)close(fd); /* the filter keeps the program */
	return err;
}

/* Handle 0 removes all of our priority. */
static int
remove_filters(unsigned index, uint32_t handle)
{
	uint8_t req[REQ_SIZE] __attribute__((aligned(4)));
	struct nlmsghdr *h = put_filter(req, RTM_DELTFILTER, 0, index, handle);
	int err;

	mnl_attr_put_strz(h, TCA_KIND, "bpf");
	err = talk(h);
	/* EINVAL: there is no such hook on the interface at all. */
	return err == -ENOENT || err == -EINVAL || err == -ENODEV ? 0 : err;
}

int
steer_del(unsigned index, uint32_t handle)
{
	return remove_filters(index, handle);
}

int
steer_clear(unsigned index)
{
	return remove_filters(index, 0);
}
