-- SPDX-License-Identifier: Apache-2.0
-- Version 2: what is asked most is summed by hour, for a console over many machines. It takes the place of flow_hour, which no one fills any more.
-- In braces as in 1.sql.

-- Sums by hour, made by `egret-clickhouse rollup`. Plain sum() reads them: where pieces come late the difference is added, and a sum may go down,
-- so sums are signed. What is left out of a row is what another column makes superfluous: comm where exe is known, the address where a name is.
CREATE TABLE IF NOT EXISTS {db}.usage_hour_1{local} {cluster} (
  hour DateTime, host {word}, name String, peer_ip FixedString(16), exe {word}, comm {word}, user {word}, uid UInt32, unit {word},
  container_name {word}, container_id {word}, segment {word}, domain String, country {word}, asn UInt32, app {word}, direction UInt8,
  action {word}, would_refuse UInt8, rule_text {word}, rule_note {word}, rule_file {word}, rule_line UInt32,
  pieces Int64, flows Int64, up_bytes Int64, down_bytes Int64, up_packets Int64, down_packets Int64, calls Int64, packets Int64
) ENGINE = {engine:SummingMergeTree:usage_hour_1:(pieces, flows, up_bytes, down_bytes, up_packets, down_packets, calls, packets)}
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, name, peer_ip, host, exe, comm, user, uid, unit, container_name, container_id, segment, domain, country, asn, app, direction,
  action, would_refuse, rule_text, rule_note, rule_file, rule_line)
SETTINGS index_granularity = 8192;

-- usage_hour has half as many rows as there are pieces where machines have many programs and peers. These two have some hundredths:
-- the other side, of all machines together (spread over shards by name);
CREATE TABLE IF NOT EXISTS {db}.usage_name_1{local} {cluster} (
  hour DateTime, name String, peer_ip FixedString(16), segment {word}, domain String, country {word}, asn UInt32,
  pieces Int64, flows Int64, up_bytes Int64, down_bytes Int64, up_packets Int64, down_packets Int64, calls Int64, packets Int64
) ENGINE = {engine:SummingMergeTree:usage_name_1:(pieces, flows, up_bytes, down_bytes, up_packets, down_packets, calls, packets)}
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, name, peer_ip, segment, domain, country, asn)
SETTINGS index_granularity = 8192;

-- and each machine, without the other side's name and place.
CREATE TABLE IF NOT EXISTS {db}.usage_host_1{local} {cluster} (
  hour DateTime, host {word}, exe {word}, comm {word}, user {word}, uid UInt32, unit {word},
  container_name {word}, container_id {word}, segment {word}, app {word}, direction UInt8,
  action {word}, would_refuse UInt8, rule_text {word}, rule_note {word}, rule_file {word}, rule_line UInt32,
  pieces Int64, flows Int64, up_bytes Int64, down_bytes Int64, up_packets Int64, down_packets Int64, calls Int64, packets Int64
) ENGINE = {engine:SummingMergeTree:usage_host_1:(pieces, flows, up_bytes, down_bytes, up_packets, down_packets, calls, packets)}
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, host, exe, comm, user, uid, unit, container_name, container_id, segment, app, direction, action, would_refuse, rule_text,
  rule_note, rule_file, rule_line)
SETTINGS index_granularity = 8192;

-- What became of each version of the fleet's policy on each machine: took, enforced, kept, stepped-back or refused, and what it did there.
CREATE TABLE IF NOT EXISTS {db}.policy_1{local} {cluster} (
  ts DateTime, host {word}, boot UInt64, time_us UInt64, version UInt64, group_name {word}, stage {word}, state {word}, reason String,
  policy_file {word}, rules UInt32, refused_before_hour UInt64, refused_after_hour UInt64, watched UInt64, would_refuse UInt64
) ENGINE = {engine:MergeTree:policy_1}
PARTITION BY toYYYYMM(ts) ORDER BY (version, host, time_us)
SETTINGS index_granularity = 8192{window};
