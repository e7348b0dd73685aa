/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lab.h - the whole cluster in network namespaces on one machine, and the drill that
 * breaks it and measures what a client notices. docs/lab-and-drill.md is the manual.
 */
#ifndef NINES_LAB_LAB_H
#define NINES_LAB_LAB_H

/* `nines lab up|down|exec|status ...`; argv[0] is the verb. Exit status. */
int lab_main(int argc, char **argv);

/* `nines drill FILE ...`; 0: all settled, 1: a case did not, 2: usage. */
int drill_main(int argc, char **argv);

#endif /* NINES_LAB_LAB_H */
