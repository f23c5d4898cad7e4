-- SPDX-License-Identifier: Apache-2.0
-- Version 1 of what egretd sends. Every statement runs on ClickHouse 18.16 and on today's; egret-clickhouse fills in what is in braces:
--   {db}       the database            {local}    "_local" in a cluster, where the name without it is the Distributed table
--   {cluster}  ON CLUSTER …            {engine:…} MergeTree or its Replicated form; {window}: how long a repeated insert is recognised
--   {word}     String, or LowCardinality(String) where that is no experiment: the same bytes on the wire
-- A table of a version is never altered: other columns are other tables, flow_2, and `flow` reads them all.
-- Addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d. `ts` is the second in which a piece ended; *_us are Unix microseconds.

-- Pieces of flows: what moved since the piece before (seq 0: since the flow began). "our" is the end that belongs to `host`.
CREATE TABLE IF NOT EXISTS {db}.flow_1{local} {cluster} (
  ts DateTime, host {word}, boot UInt64, flow_id UInt64, seq UInt32, ends UInt8,
  start_us UInt64, from_us UInt64, to_us UInt64,
  proto UInt8, our_ip FixedString(16), our_port UInt16, peer_ip FixedString(16), peer_port UInt16, zone UInt64, inbound UInt8, forwarded UInt8,
  up_bytes UInt64, down_bytes UInt64, up_packets UInt64, down_packets UInt64, payload_known UInt8, up_payload UInt64, down_payload UInt64,
  opener_flags UInt8, responder_flags UInt8, retransmits UInt32, resets UInt32, rtt_us UInt32,
  state UInt8, end UInt8, direction UInt8, mid_stream UInt8, ifindex UInt32, app {word},
  pid UInt32, ppid UInt32, proc_start_us UInt64, uid UInt32, user {word}, exe {word}, exe_state UInt8, comm {word}, args Array(String),
  cgroup {word}, unit {word}, container_id {word}, container_name {word}, container_image {word}, container_runtime {word},
  ancestor_pids Array(UInt32), ancestor_exes Array(String),
  name String, name_source {word}, names Array(String), domain String, segment {word}, country {word}, asn UInt32, as_org {word},
  action {word}, would_refuse UInt8, refused UInt8, rule_file {word}, rule_line UInt32, rule_text {word}, rule_note {word},
  ja3 {word}, ja4 {word}
) ENGINE = {engine:MergeTree:flow_1}
PARTITION BY toYYYYMMDD(ts) ORDER BY (toStartOfHour(ts), name, peer_ip, host, ts)
SETTINGS index_granularity = 8192{window};

-- Answers of DNS, one row each.
CREATE TABLE IF NOT EXISTS {db}.name_1{local} {cluster} (
  ts DateTime, host {word}, boot UInt64, time_us UInt64, flow_id UInt64, resolver_ip FixedString(16), resolver_port UInt16,
  name String, type {word}, rcode {word}, answers Array(String), ttl UInt32,
  pid UInt32, uid UInt32, user {word}, exe {word}, comm {word}, unit {word}, container_name {word}, container_image {word}
) ENGINE = {engine:MergeTree:name_1}
PARTITION BY toYYYYMMDD(ts) ORDER BY (toStartOfHour(ts), name, host, ts)
SETTINGS index_granularity = 8192{window};

-- What was refused, or would have been: of a piece of a flow, or of what never became one (flow_id 0).
CREATE TABLE IF NOT EXISTS {db}.verdict_1{local} {cluster} (
  ts DateTime, host {word}, boot UInt64, flow_id UInt64, seq UInt32, from_us UInt64, to_us UInt64,
  proto UInt8, our_ip FixedString(16), our_port UInt16, peer_ip FixedString(16), peer_port UInt16, inbound UInt8,
  forwarded UInt8, app {word},
  name String, name_source {word}, domain String, segment {word}, country {word}, asn UInt32,
  action {word}, would_refuse UInt8, refused UInt8, calls UInt64, packets UInt64, bytes UInt64,
  rule_file {word}, rule_line UInt32, rule_text {word}, rule_note {word},
  pid UInt32, uid UInt32, user {word}, exe {word}, comm {word}, unit {word}, container_name {word}, container_image {word}
) ENGINE = {engine:MergeTree:verdict_1}
PARTITION BY toYYYYMMDD(ts) ORDER BY (toStartOfHour(ts), host, rule_text, name, ts)
SETTINGS index_granularity = 8192{window};

-- Findings, each time they change: the newest row of (host, id) is how it stands. `record` is the EVE record (docs/records.md).
CREATE TABLE IF NOT EXISTS {db}.finding_1{local} {cluster} (
  ts DateTime, host {word}, boot UInt64, time_us UInt64, id String, state {word}, level {word}, class {word}, detector {word}, score_db Int32,
  acked UInt8, entity String, peer String, name String, peer_ip FixedString(16), record String
) ENGINE = {engine:MergeTree:finding_1}
PARTITION BY toYYYYMM(ts) ORDER BY (host, id, time_us)
SETTINGS index_granularity = 8192{window};

-- How a machine is, once a minute.
CREATE TABLE IF NOT EXISTS {db}.host_1{local} {cluster} (
  ts DateTime, host {word}, boot UInt64, time_us UInt64, version {word}, watch {word}, policy_mode {word}, policy_file {word},
  policy_rules UInt32, uptime_s UInt64, flows UInt64, lost UInt64, lost_spool UInt64, waiting UInt64, spool_bytes UInt64
) ENGINE = {engine:MergeTree:host_1}
PARTITION BY toYYYYMM(ts) ORDER BY (host, time_us)
SETTINGS index_granularity = 8192{window};

-- Sums by hour, made by `egret-clickhouse rollup`; of rows of one key the one with the highest version counts (FINAL).
-- Peers without a name are told apart by address, the others are not.
CREATE TABLE IF NOT EXISTS {db}.flow_hour_1{local} {cluster} (
  hour DateTime, host {word}, name String, peer_ip FixedString(16), peer_port UInt16, proto UInt8, inbound UInt8, app {word},
  user {word}, exe {word}, unit {word}, container_name {word}, domain String, segment {word}, country {word}, asn UInt32, action {word},
  pieces UInt64, flows UInt64, up_bytes UInt64, down_bytes UInt64, up_packets UInt64, down_packets UInt64, version UInt64
) ENGINE = {engine:ReplacingMergeTree:flow_hour_1:version}
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, host, name, peer_ip, peer_port, proto, inbound, app, user, exe, unit, container_name, domain, segment, country, asn, action)
SETTINGS index_granularity = 8192;
