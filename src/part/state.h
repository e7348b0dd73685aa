/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - where parts keep what must outlive a reboot.
 *
 * /var/lib/nines, unless the environment says otherwise: what runs with a --run-dir of
 * its own (a lab, a test) keeps it there.
 */
#ifndef NINES_PART_STATE_H
#define NINES_PART_STATE_H

#define STATE_FOLDER "NINES_STATE" /* the variable */

const char *state_folder(void);

#endif /* NINES_PART_STATE_H */
