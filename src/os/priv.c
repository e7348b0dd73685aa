/* SPDX-License-Identifier: Apache-2.0 */
#include "os/priv.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PRIV_CAPS_MAX 16

int
priv_drop(const char *user, const int *caps, size_t n)
{
	const struct passwd *pw = NULL;
	bool had[PRIV_CAPS_MAX];

	ASSERT(n <= PRIV_CAPS_MAX);
	if (user != NULL) {
		errno = 0;
		pw = getpwnam(user);
		if (pw == NULL)
			return errno != 0 ? -errno : -ENOENT;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	if (capng_get_caps_process() != 0)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		had[i] = capng_have_capability(CAPNG_PERMITTED, (unsigned)caps[i]) != 0;
	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; i < n; i++) {
		if (!had[i]) /* a container without it: the part will say what for */
			continue;
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
priv_filter_syscalls(bool bpf)
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
	};
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int err = 0;

	if (ctx == NULL)
		return -ENOMEM;
	for (size_t i = 0; err == 0 && i < ARRAY_LEN(refused); i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
	if (err == 0 && !bpf)
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(bpf), 0);
	if (err == 0)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}

#define WRITES                                                              \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |    \
	    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | \
	    LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |     \
	    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |   \
	    LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

static int
allow_below(int rules, const char *path)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = WRITES};
	struct stat st;
	int err = 0;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access = LANDLOCK_ACCESS_FS_WRITE_FILE;
	if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule,
		0) != 0)
		err = -errno;
	(void)close(rule.parent_fd);
	return err;
}

int
priv_write_only_below(const char *const *writable)
{
	const struct landlock_ruleset_attr attr = {.handled_access_fs = WRITES};
	int err = 0, rules;

	rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (rules < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
	for (size_t i = 0; err == 0 && writable[i] != NULL; i++)
		err = allow_below(rules, writable[i]);
	if (err == 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
			    syscall(SYS_landlock_restrict_self, rules, 0) != 0))
		err = -errno;
	(void)close(rules);
	return err;
}

int
priv_realtime(int priority)
{
	const struct sched_param param = {.sched_priority = priority};
	const int policy = priority > 0 ? SCHED_FIFO : SCHED_OTHER;

	if (sched_setscheduler(0, policy | SCHED_RESET_ON_FORK, &param) != 0)
		return -errno;
	return 0;
}

int
priv_allow_realtime(int priority)
{
	const struct rlimit most = {(rlim_t)priority, (rlim_t)priority};

	return setrlimit(RLIMIT_RTPRIO, &most) == 0 ? 0 : -errno;
}

int
priv_lock_memory(void)
{
	return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0 ? 0 : -errno;
}

int
priv_spare_from_oom(void)
{
	static const char score[] = "-900";
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, score, sizeof(score) - 1) < 0)
		err = -errno;
	(void)close(fd);
	return err;
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
