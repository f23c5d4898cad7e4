-- SPDX-License-Identifier: Apache-2.0
-- Version 3: what a fleet knows goes back to its machines. In braces as in 1.sql.

-- Made by `egret-clickhouse prevalence`: of each registrable domain that at least `least` machines contacted within a week, by how many, and on how
-- many days. The row without a domain comes last, and says how many machines were counted, in how many days: a summary without it is not whole.
CREATE TABLE IF NOT EXISTS {db}.prevalence_1{local} {cluster} (
  ts DateTime, domain String, hosts UInt32, days UInt8, least UInt32
) ENGINE = {engine:MergeTree:prevalence_1}
PARTITION BY toYYYYMMDD(ts) ORDER BY (ts, domain)
SETTINGS index_granularity = 8192{window};

-- Sums by day (of UTC) of each machine with the other side, made by `egret-clickhouse rollup` once a day is over, and read as those by hour (2.sql):
-- a tenth of the rows of the pieces. Hours of it are in usage_peer.
CREATE TABLE IF NOT EXISTS {db}.usage_day_1{local} {cluster} (
  day DateTime, host {word}, name String, peer_ip FixedString(16), segment {word}, domain String, country {word}, asn UInt32,
  pieces Int64, flows Int64, up_bytes Int64, down_bytes Int64, up_packets Int64, down_packets Int64, calls Int64, packets Int64
) ENGINE = {engine:SummingMergeTree:usage_day_1:(pieces, flows, up_bytes, down_bytes, up_packets, down_packets, calls, packets)}
PARTITION BY toYYYYMM(day)
ORDER BY (day, name, peer_ip, host, segment, domain, country, asn)
SETTINGS index_granularity = 8192;

-- The same by hour, in order of machines: for what is asked of one, and for the ends of a span.
CREATE TABLE IF NOT EXISTS {db}.usage_peer_1{local} {cluster} (
  hour DateTime, host {word}, name String, peer_ip FixedString(16), segment {word}, domain String, country {word}, asn UInt32,
  pieces Int64, flows Int64, up_bytes Int64, down_bytes Int64, up_packets Int64, down_packets Int64, calls Int64, packets Int64
) ENGINE = {engine:SummingMergeTree:usage_peer_1:(pieces, flows, up_bytes, down_bytes, up_packets, down_packets, calls, packets)}
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, host, name, peer_ip, segment, domain, country, asn)
SETTINGS index_granularity = 8192;

-- By hour, of all machines together: which program with whom. A fifth of usage_hour's rows with 200 machines, and a smaller part of more.
CREATE TABLE IF NOT EXISTS {db}.usage_program_1{local} {cluster} (
  hour DateTime, name String, peer_ip FixedString(16), exe {word}, comm {word}, segment {word}, domain String, country {word}, asn UInt32,
  pieces Int64, flows Int64, up_bytes Int64, down_bytes Int64, up_packets Int64, down_packets Int64, calls Int64, packets Int64
) ENGINE = {engine:SummingMergeTree:usage_program_1:(pieces, flows, up_bytes, down_bytes, up_packets, down_packets, calls, packets)}
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, name, peer_ip, exe, comm, segment, domain, country, asn)
SETTINGS index_granularity = 8192;

-- The same by day.
CREATE TABLE IF NOT EXISTS {db}.usage_program_day_1{local} {cluster} (
  day DateTime, name String, peer_ip FixedString(16), exe {word}, comm {word}, segment {word}, domain String, country {word}, asn UInt32,
  pieces Int64, flows Int64, up_bytes Int64, down_bytes Int64, up_packets Int64, down_packets Int64, calls Int64, packets Int64
) ENGINE = {engine:SummingMergeTree:usage_program_day_1:(pieces, flows, up_bytes, down_bytes, up_packets, down_packets, calls, packets)}
PARTITION BY toYYYYMM(day)
ORDER BY (day, name, peer_ip, exe, comm, segment, domain, country, asn)
SETTINGS index_granularity = 8192;

-- Which hours and days of which table of sums are whole: a row by `rollup`, after the last of their sums is there. What has none is read from pieces.
CREATE TABLE IF NOT EXISTS {db}.summed_1{local} {cluster} (
  begin DateTime, name String
) ENGINE = {engine:MergeTree:summed_1}
PARTITION BY toYYYYMM(begin) ORDER BY (name, begin)
SETTINGS index_granularity = 8192;
