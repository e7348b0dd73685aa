/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the verbs of the command line. */

#include <stdio.h>

int
main(void)
{
	(void)fprintf(stderr, "nines: no verbs yet\n");
	return 2;
}
