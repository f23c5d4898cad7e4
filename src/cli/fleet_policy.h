/* SPDX-License-Identifier: Apache-2.0 */
/* Private to cli/: `egret fleet policy`. Each takes its own argv and gives the exit status. */
#pragma once

int cmd_fleet_policy(int argc, char **argv);
int fleet_policy_pack(int argc, char **argv);
