/* SPDX-License-Identifier: Apache-2.0 */
#include "os/priv.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

int
priv_drop(const char *user, const int *caps, size_t n)
{
	const struct passwd *pw = NULL;

	if (user != NULL) {
		errno = 0;
		pw = getpwnam(user);
		if (pw == NULL)
			return errno != 0 ? -errno : -ENOENT;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; i < n; i++) {
		/* Ambient and inheritable, so that `nft` run by a part has them too. */
		if (capng_update(CAPNG_ADD,
			CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE |
			    CAPNG_BOUNDING_SET | CAPNG_AMBIENT,
			(unsigned)caps[i]) != 0)
			return -EINVAL;
	}
	if (pw != NULL) {
		if (capng_change_id((int)pw->pw_uid, (int)pw->pw_gid,
			CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING) != 0)
			return -EPERM;
		return 0;
	}
	if (setgroups(0, NULL) != 0)
		return -errno;
	return capng_apply(CAPNG_SELECT_ALL) == 0 ? 0 : -EPERM;
}

int
priv_filter_syscalls(void)
{
	static const int refused[] = {
	    SCMP_SYS(init_module),
	    SCMP_SYS(finit_module),
	    SCMP_SYS(delete_module),
	    SCMP_SYS(kexec_load),
	    SCMP_SYS(kexec_file_load),
	    SCMP_SYS(mount),
	    SCMP_SYS(umount2),
	    SCMP_SYS(pivot_root),
	    SCMP_SYS(chroot),
	    SCMP_SYS(swapon),
	    SCMP_SYS(swapoff),
	    SCMP_SYS(reboot),
	    SCMP_SYS(ptrace),
	    SCMP_SYS(process_vm_readv),
	    SCMP_SYS(process_vm_writev),
	    SCMP_SYS(settimeofday),
	    SCMP_SYS(clock_settime),
	    SCMP_SYS(adjtimex),
	    SCMP_SYS(clock_adjtime),
	    SCMP_SYS(add_key),
	    SCMP_SYS(request_key),
	    SCMP_SYS(keyctl),
	    SCMP_SYS(userfaultfd),
	    SCMP_SYS(perf_event_open),
	    SCMP_SYS(io_uring_setup),
	    SCMP_SYS(acct),
	    SCMP_SYS(quotactl),
	    SCMP_SYS(setns),
	    SCMP_SYS(unshare),
	    SCMP_SYS(open_by_handle_at),
	    SCMP_SYS(bpf),
	};
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int err = 0;

	if (ctx == NULL)
		return -ENOMEM;
	for (size_t i = 0; err == 0 && i < ARRAY_LEN(refused); i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
	if (err == 0)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}

int
priv_realtime(int priority)
{
	const struct sched_param param = {.sched_priority = priority};

	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param) != 0)
		return -errno;
	return 0;
}

int
priv_lock_memory(void)
{
	return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0 ? 0 : -errno;
}

int
priv_raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? 0 : -errno;
}
