/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the verbs of the command line, one table. */

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cli_config.h"
#include "cli/verbs.h"
#include "firewall/firewall.h"
#include "gateway/gateway.h"
#include "health/health.h"
#include "lab/lab.h"
#include "proxy/proxy.h"
#include "supervisor/supervisor.h"
#include "sync/sync.h"
#include "vip/vip.h"
#include "vpn/vpn.h"

#define RUN_DIR                                                                       \
	"  --run-dir DIR  where nines run keeps its control socket ($NINES_RUN_DIR, " \
	"or\n"                                                                        \
	"                 /run/nines)\n"

const struct part_program part_programs[] = {
    {"vip", vip_main, vip_release},
    {"proxy", proxy_main, NULL},
    {"health", health_main, NULL},
    {"gateway", gateway_main, NULL},
    {"firewall", firewall_main, NULL},
    {"vpn", vpn_main, NULL},
    {"sync", sync_main, NULL},
    {.name = NULL},
};

const struct verb verbs[] = {
    {"run", supervisor_main, "[--host NAME] [-f FILE] [--run-dir DIR] [--log-level L]",
	"play this host's parts of the cluster, until stopped",
	"  --host NAME    which host of the file this is; default: the one whose\n"
	"                 addresses this machine has\n"
	"  -f FILE        the cluster file (/etc/nines/cluster.yaml)\n"
	"  --run-dir DIR  for the control socket and counters (/run/nines)\n"
	"  --log-level L  error, warning, info (default) or debug\n"
	"\nStays in the foreground and logs to standard error. SIGHUP applies the\n"
	"changed file, SIGTERM leaves in good order, a second SIGTERM at once.\n",
	false},
    {"part", supervisor_part_main, "NAME", "one part; `nines run` starts it", "", true},
    {"check", cli_check, "[--json] FILE", "check a cluster file",
	"  --json         findings for programs\n"
	"\nReports every error in one pass, each with its place, and exits with 1 if\n"
	"there is one. Warns of what is allowed and will hurt, such as routes that\n"
	"never hold, and of files and programs that this host lacks: run it on a load\n"
	"balancer, whose OpenSSL is the one that must know the `ciphers`. Nothing is "
	"asked of the network, and nothing is changed. - reads\n"
	"standard input.\n",
	false},
    {"config", cli_config, "[--full] FILE", "print a cluster file as nines reads it",
	"  --full         with every default that holds\n"
	"\nThe output is a cluster file of the same meaning.\n",
	false},
    {"schema", cli_schema, "[--markdown]", "print the cluster file's JSON Schema",
	"  --markdown     the reference of keys for people instead\n"
	"\n  nines schema > cluster.schema.json\n",
	false},
    {"outages", cli_outages, "[LOG]", "make a history for `nines spof` of a log",
	"\nReads what `nines run` logged on one host (from standard input unless LOG "
	"is\n"
	"given) and prints each time that a server, a next hop or a part was down, "
	"and\n"
	"how many of each were watched. Take servers from one load balancer only: all\n"
	"of them see the same.\n\n"
	"  journalctl -u nines -o cat | nines outages > outages.jsonl\n"
	"  nines spof --history outages.jsonl\n",
	false},
    {"spof", cli_spof, "[OPTION...] [FILE]",
	"find every single point of failure of a cluster file",
	"  --without NAME,...  what if these hosts, zones, networks were gone already\n"
	"  --order N           1: leave out pairs of failures; 3 to 8: count cut sets\n"
	"  --picture FILE.svg  draw hosts, networks and addresses, weak spots in red\n"
	"  --rates KIND=BETWEEN/REPAIR,...  instead of the file's `availability`\n"
	"  --history FILE      outages that were seen: what rates follow from them\n"
	"  --measured FILE     outages of failovers as `nines drill --json` found "
	"them\n"
	"  --json              everything, for programs\n"
	"  --sarif             the findings for code review\n"
	"\nFor every service, database, volume, VPN and floating address, and for the "
	"data:\n"
	"whether it goes on when any one thing fails, what ends it,\n"
	"the line that makes it so and the smallest change that removes it. Exits with "
	"1\n"
	"if something that must be survived (must_survive, a host unless said) is "
	"not.\n"
	"FILE is /etc/nines/cluster.yaml unless given; - reads standard input.\n\n"
	"  nines spof --without lb2 cluster.yaml\n",
	false},
    {"status", cli_status, "[--json] [--run-dir DIR]",
	"show this host's parts, addresses, services and servers",
	"  --json         everything, for programs\n" RUN_DIR
	"\nSays of anything that is not healthy why, and exits with 1 then, with\n"
	"--json as well, where `healthy` says the same and `why` lists the reasons.\n",
	false},
    {"top", cli_top, "[--once] [--json] [--run-dir DIR]",
	"watch what services, servers and workers do each second",
	"  --once         one table, over one second\n"
	"  --json         for programs: an object a second\n" RUN_DIR,
	false},
    {"reload", cli_order, "[--json] [--run-dir DIR]", "apply the changed cluster file",
	RUN_DIR
	"\nChanges only what changed and closes no connection. A file with errors\n"
	"changes nothing; all its errors are shown. What the file asks for and cannot\n"
	"be had (a port, a certificate, a page) is named, and so are rules, a part or\n"
	"an address that was well before; the exit status is 1, but all else holds.\n"
	"What checks find takes them a while: `nines status` tells.\n",
	false},
    {"drain", cli_order, "[--json] [--run-dir DIR] HOST|SERVER",
	"send no new work to a host or server",
	RUN_DIR
	"\nWhat it has begun it finishes. Draining a load balancer moves its floating\n"
	"addresses away. `nines enable` ends it. That no server is left to take new\n"
	"work is a warning, not a refusal.\n\n"
	"  nines drain web1        every server on web1\n"
	"  nines drain web1:8080   one server\n",
	false},
    {"enable", cli_order, "[--json] [--run-dir DIR] HOST|SERVER", "end a drain",
	RUN_DIR, false},
    {"switch", cli_order, "[--json] [--run-dir DIR] SERVICE GROUP",
	"send a service's requests to another group of servers",
	RUN_DIR
	"\nFrom the next request on; what is under way finishes where it is, and no\n"
	"request fails. To be said on each load balancer. It holds until another\n"
	"switch, over reloads and crashes; the file's own group is the same order.\n\n"
	"  nines switch site green\n",
	false},
    {"weight", cli_order, "[--json] [--run-dir DIR] SERVICE HOST|SERVER WEIGHT|file",
	"give a server more or less of a service's requests",
	RUN_DIR "\n0 to 1000; file: what the cluster file says. 0 sends nothing new "
		"there. To be\n"
		"said on each load balancer. It holds over reloads and crashes.\n\n"
		"  nines weight site web1 10\n"
		"  nines weight site web1:8080 file\n",
	false},
    {"move", cli_order, "[--json] [--run-dir DIR] FLOATING-IP HOST",
	"move a floating address to another host, on purpose",
	RUN_DIR
	"\nTo be said on the host that has it. No request fails: connections that are\n"
	"open finish on the old host. The address stays there until it fails or is\n"
	"moved back, also with `failback: true`.\n\n"
	"  nines move www lb2\n",
	false},
    {"stop", cli_order, "[--json] [--run-dir DIR]",
	"leave in good order and end nines run",
	RUN_DIR "\nAddresses move away first, then connections finish.\n", false},
    {"upgrade", cli_order, "[--json] [--run-dir DIR]",
	"let the program that lies at nines' path now take over",
	RUN_DIR
	"\nTo be said after a new version was installed. No request fails and no\n"
	"address moves: new parts take over from the old ones, which finish their\n"
	"connections, and `nines run` becomes the new program under its old number.\n"
	"If the new one does not start or dies at once, all stays as it was.\n",
	false},
    {"vpn", cli_vpn, "key|add|revoke|list [OPTION...] [NAME]",
	"clients of the WireGuard gateways",
	"  key [VPN]            make the gateways' private key, once\n"
	"  add NAME             make a client: into the cluster file goes its public\n"
	"                       key, its configuration is printed, on a terminal with\n"
	"                       a QR code. Needs the private key file: on a gateway\n"
	"  revoke NAME          take it out of the cluster file\n"
	"  list [VPN]           clients of this gateway and when they were heard\n"
	"\n  -f FILE              the cluster file (/etc/nines/cluster.yaml)\n"
	"  --vpn VPN            which one, where the file has several\n"
	"  --public-key KEY     add: the client has a key, and keeps it to itself\n"
	"  --qr                 add: the QR code also where the output is no terminal\n"
	"  --json               list: for programs\n" RUN_DIR
	"\nThe file is edited in place, layout and comments stay. Copy it to the\n"
	"gateways and say `nines reload` on each.\n\n"
	"  nines vpn add alice\n",
	false},
    {"firewall", cli_firewall,
	"show [--host NAME] [--json] [FILE] | test [-f FILE] FROM TO PORT | confirm | "
	"on | off",
	"what the firewalls let through and why; keep a change, or end them",
	"  show      each rule, with the line of the file that caused it, the reason,\n"
	"            and what it has counted (--nft: as nft reads it)\n"
	"  test      what would become of a connection, and why; FROM and TO are "
	"names\n"
	"            or addresses, PORT is such as 443, 53/udp or icmp\n"
	"  confirm   keep the rules that are on trial; else those before return\n"
	"  off       remove all rules of nines from this host, until `on` or a reload\n"
	"  on        load them again, also those that were undone for want of a "
	"confirm\n"
	"\n  nines firewall show --host web1 cluster.yaml\n"
	"  nines firewall test 203.0.113.7 www 443\n",
	false},
    {"lab", lab_main, "up|down|status|exec [--name NAME] FILE [HOST COMMAND...]",
	"the whole cluster on this machine, in network namespaces",
	"Hosts become namespaces, networks bridges; every host runs `nines run`, web\n"
	"servers are real, and a host `client` is on the network of the first "
	"floating\n"
	"address. Needs root, iproute2 and nftables; nginx if it is there.\n\n"
	"  nines lab up examples/pair.yaml\n"
	"  nines lab exec examples/pair.yaml client curl -s http://10.0.0.10/?id=1\n"
	"  nines lab down examples/pair.yaml\n",
	false},
    {"drill", drill_main, "[OPTION...] FILE | --list",
	"break the cluster in a lab and measure what a client notices",
	"Without more, the cases of `--list`, for the active hosts and one server.\n\n"
	"  --all                  every failure of this file (--list FILE shows "
	"them),\n"
	"                         held against what the analysis foretells\n"
	"  --only NAME[,NAME]     of those, only these: host-off, link-down:lb1,\n"
	"                         part-killed:lb1/vip; a `*` at the end stands for "
	"all\n"
	"  --case NAME[,NAME]     only these cases\n"
	"  --random 10m           failures and repairs by chance, several at a time, "
	"within\n"
	"                         what is to be survived; a fault is shown by the "
	"fewest\n"
	"  --live                 on this host of the real cluster: what can be "
	"undone, one\n"
	"                         thing at a time, after a question (--yes: without)\n"
	"  --rounds N             of every case (1)\n"
	"  --seed N               of what is left to chance; the table shows it\n"
	"  --keep                 leave the lab as it is where something goes wrong\n"
	"  --resume OLD.json      play what that report has not, and write both\n"
	"  --against OLD.json     show its figures beside the new ones\n"
	"  --heartbeat 10ms       instead of the file's\n"
	"  --against keepalived   keepalived and haproxy in the place of nines\n"
	"  --soak SECONDS         no failure but two busy processors: what moves?\n"
	"  --json                 everything, for programs\n"
	"  --html FILE            one page with a timeline of every round\n"
	"  --story                what happened when, round by round\n",
	false},
    {"help", cli_help, "[VERB | --man]", "explain a verb", "", false},
    {"completion", cli_completion, "bash|zsh|fish", "print a shell's completion script",
	"  nines completion bash > /etc/bash_completion.d/nines\n", false},
    {"version", cli_version, "", "print the version", "", false},
    {.name = NULL},
};

int
main(int argc, char **argv)
{
	const struct verb *v, *near;

	if (argc < 2) {
		(void)cli_help(1, argv);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return cli_help(1, argv);
	if (strcmp(argv[1], "--version") == 0)
		return cli_version(1, argv);
	v = verb_find(verbs, argv[1]);
	if (v == NULL) {
		near = verb_near(verbs, argv[1]);
		(void)fprintf(stderr, "nines: no verb \"%s\"%s%s%s\n", argv[1],
		    near != NULL ? "; did you mean \"" : "; `nines help` lists them",
		    near != NULL ? near->name : "", near != NULL ? "\"?" : "");
		return EXIT_USAGE;
	}
	return v->run(argc - 1, argv + 1);
}
