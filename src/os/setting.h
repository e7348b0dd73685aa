/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setting.h - the kernel's settings of the calling thread's network, each a file below
 * /proc/sys/net that its name tells: "ipv4/ip_forward". -ENOENT: there is none.
 */
#ifndef NINES_OS_SETTING_H
#define NINES_OS_SETTING_H

#include <stdint.h>

#include "base/check.h"

#define SETTING_NAME_LEN  128 /* with the NUL */
#define SETTING_VALUE_LEN 32  /* the same */

/* 0 or -errno. */
int setting_write(const char *name, const char *value) MUST_CHECK;

/* Its first line; 0 or -errno. */
int setting_read(const char *name, char value[static SETTING_VALUE_LEN]) MUST_CHECK;

/* One that is a number from 0 up, or -errno. */
int64_t setting_number(const char *name) MUST_CHECK;

#endif /* NINES_OS_SETTING_H */
