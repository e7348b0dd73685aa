/* SPDX-License-Identifier: Apache-2.0 */
#include "os/refuse.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/bpf.h"

static int
detach(int fd)
{
	int unused = 0;

	if (setsockopt(fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused,
		sizeof(unused)) == 0 ||
	    errno == ENOENT)
		return 0;
	return -errno;
}

int
refuse_none(int fd)
{
	int err = detach(fd);

	return err != -ENOPROTOOPT ? err : 0; /* then there is none, see below */
}

int
refuse_new(int fd)
{
	const struct bpf_insn insn[] = {
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = SK_DROP},
	    {.code = BPF_JMP | BPF_EXIT},
	};
	int prog, err = detach(fd);

	if (err != 0) /* before Linux 5.3: what cannot be ended is not begun */
		return err;
	prog = bpf_load(BPF_PROG_TYPE_SK_REUSEPORT, insn, ARRAY_LEN(insn));
	if (prog < 0)
		return prog;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &prog, sizeof(prog)) !=
	    0)
		err = -errno;
	(void)close(prog);
	return err;
}
