/* SPDX-License-Identifier: Apache-2.0 */
/* One line a detector; each is defined in the file of its name. */
#pragma once

struct detector;

extern const struct detector detect_beacon;
extern const struct detector detect_shell;
extern const struct detector detect_intel;
extern const struct detector detect_dga;
