/* SPDX-License-Identifier: Apache-2.0 */
/* Rates of failure and outages of failovers, from the command line. */

#include <jansson.h>
#include <string.h>

#include "base/mono.h"
#include "cli/spof.h"
#include "config/units.h"

#define WORD_LEN 64

/* "host=180d/1h" */
static bool
read_rate(char *word, struct availability_conf *rates)
{
	char *between = strchr(word, '='), *repair = strchr(word, '/');
	struct availability_rate rate;

	if (between == NULL || repair == NULL || repair < between)
		return false;
	*between++ = '\0';
	*repair++ = '\0';
	if (duration_parse(&rate.mtbf_ns, between) != 0 ||
	    duration_parse(&rate.mttr_ns, repair) != 0 || rate.mtbf_ns < 60 * SEC_NS)
		return false;
	for (unsigned i = 0; i < AVAIL_KINDS; i++) {
		if (strcmp(availability_kind_name[i], word) == 0) {
			rates->rate[i] = rate;
			return true;
		}
	}
	return false;
}

bool
spof_read_rates(const char *text, struct availability_conf *rates)
{
	char word[WORD_LEN];

	while (*text != '\0') {
		size_t len = strcspn(text, ",");

		(void)snprintf(word, sizeof(word), "%.*s",
		    (int)(len < WORD_LEN ? len : WORD_LEN - 1), text);
		if (!read_rate(word, rates)) {
			(void)fprintf(stderr,
			    "nines: \"%.*s\" is no rate; say KIND=BETWEEN/REPAIR such "
			    "as "
			    "host=180d/1h, KIND being host, part, link, network, zone, "
			    "server, outside or certificate\n",
			    (int)(len < WORD_LEN ? len : WORD_LEN - 1), text);
			return false;
		}
		text += len + (text[len] == ',');
	}
	return true;
}

/* The median outage of a case, if the drill measured it. */
static void
take_case(const json_t *report, const char *name, int64_t *ns)
{
	const json_t *one, *median;
	size_t i;

	json_array_foreach(json_object_get(report, "cases"), i, one)
	{
		const char *is = json_string_value(json_object_get(one, "case"));

		median = json_object_get(json_object_get(one, "outage_ms"), "median");
		if (is != NULL && strcmp(is, name) == 0 && json_is_number(median) &&
		    json_number_value(median) >= 0 && json_number_value(median) < 1e9)
			*ns = (int64_t)(json_number_value(median) * 1e6);
	}
}

bool
spof_read_measured(const char *path, struct failover_outage *outage)
{
	json_error_t error;
	json_t *report = json_load_file(path, 0, &error);

	if (report == NULL || !json_is_array(json_object_get(report, "cases"))) {
		(void)fprintf(stderr,
		    "nines: %s is not what `nines drill --json` writes%s%s\n", path,
		    report == NULL ? ": " : "", report == NULL ? error.text : "");
		json_decref(report);
		return false;
	}
	take_case(report, "host-off", &outage->host_ns);
	take_case(report, "link-down", &outage->link_ns);
	take_case(report, "proxy-killed", &outage->part_ns);
	json_decref(report);
	return true;
}
