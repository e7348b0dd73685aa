/* SPDX-License-Identifier: Apache-2.0 */
#include "part/state.h"

#include <stdlib.h>

const char *
state_folder(void)
{
	const char *given = getenv(STATE_FOLDER);

	return given != NULL && given[0] == '/' ? given : "/var/lib/nines";
}
