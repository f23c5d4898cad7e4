/* SPDX-License-Identifier: Apache-2.0 */
/* One line a detector; each is defined in the file of its name. */
#pragma once

struct detector;

extern const struct detector detect_beacon;
extern const struct detector detect_channel;
extern const struct detector detect_shell;
extern const struct detector detect_volume;
extern const struct detector detect_dga;
extern const struct detector detect_dns;
extern const struct detector detect_doh;
extern const struct detector detect_execution;
extern const struct detector detect_fingerprint;
extern const struct detector detect_http;
extern const struct detector detect_icmp;
extern const struct detector detect_intel;
extern const struct detector detect_mail;
extern const struct detector detect_naming;
extern const struct detector detect_p2p;
extern const struct detector detect_polling;
extern const struct detector detect_rawsock;
extern const struct detector detect_tor;
