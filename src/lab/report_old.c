/* SPDX-License-Identifier: Apache-2.0 */
/* Reports of earlier drills, as `--json` wrote them. */

#include <errno.h>
#include <string.h>

#include "lab/report.h"

int
report_old_load(struct report_old *old, const char *path)
{
	json_error_t error;

	*old = (struct report_old){.all = NULL};
	if (path == NULL)
		return 0;
	old->all = json_load_file(path, 0, &error);
	if (json_is_array(json_object_get(old->all, "cases")))
		return 0;
	(void)fprintf(stderr,
	    "nines drill: %s is no report of `nines drill --json`: %s\n", path,
	    old->all == NULL ? error.text : "it has no list \"cases\"");
	json_decref(old->all);
	old->all = NULL;
	return -EINVAL;
}

void
report_old_done_with(struct report_old *old)
{
	json_decref(old->all);
	old->all = NULL;
}

static const json_t *
find(const struct report_old *old, const char *name)
{
	const json_t *cases = json_object_get(old->all, "cases"), *one;
	size_t i;

	json_array_foreach(cases, i, one)
	{
		const char *is = json_string_value(json_object_get(one, "case"));

		if (is != NULL && strcmp(is, name) == 0)
			return one;
	}
	return NULL;
}

bool
report_old_done(const struct report_old *old, const char *name)
{
	const json_t *one = find(old, name);

	return one != NULL &&
	       json_integer_value(json_object_get(one, "unsettled")) == 0;
}

bool
report_old_outage(const struct report_old *old, const char *name, double *ms)
{
	const json_t *outage = json_object_get(find(old, name), "outage_ms");
	const json_t *median = json_object_get(outage, "median");

	if (!json_is_number(median))
		return false;
	*ms = json_number_value(median);
	return true;
}
