/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The subcommands of egret, one file each. Each takes its own argv (argv[0] is its name), prints its own messages and
 * returns the exit status. Exit status 2 is a wrong call.
 */
#pragma once

int cmd_exec(int argc, char **argv);
int cmd_read(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_flows(int argc, char **argv);
int cmd_usage(int argc, char **argv);
int cmd_segments(int argc, char **argv);
int cmd_timeline(int argc, char **argv);
int cmd_who(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_page(int argc, char **argv);
int cmd_policy(int argc, char **argv);
int cmd_policy_check(int argc, char **argv);
int cmd_policy_load(int argc, char **argv);
int cmd_policy_confirm(int argc, char **argv);
int cmd_policy_clear(int argc, char **argv);
int cmd_policy_show(int argc, char **argv);
int cmd_policy_diff(int argc, char **argv);
int cmd_policy_learn(int argc, char **argv);
int cmd_policy_replay(int argc, char **argv);
int cmd_block(int argc, char **argv);
int cmd_unblock(int argc, char **argv);
int cmd_cost(int argc, char **argv);
int cmd_quota(int argc, char **argv);
int cmd_why(int argc, char **argv);
int cmd_disarm(int argc, char **argv);
int cmd_findings(int argc, char **argv);
int cmd_finding(int argc, char **argv);
int cmd_ack(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_intel(int argc, char **argv);
int cmd_fleet(int argc, char **argv);

#define EXIT_USAGE 2
#define EXIT_DIFFERS 3 /* replay, diff: something would be refused, or is not the same */

extern const char *arg_run; /* folder of the daemon's control socket: `egret --run DIR` */
