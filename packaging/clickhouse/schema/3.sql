-- SPDX-License-Identifier: Apache-2.0
-- Version 3: what a fleet knows goes back to its machines. In braces as in 1.sql.

-- Made by `egret-clickhouse prevalence`: of each registrable domain that at least `least` machines contacted within a week, by how many, and on how
-- many days. The row without a domain comes last, and says how many machines were counted, in how many days: a summary without it is not whole.
CREATE TABLE IF NOT EXISTS {db}.prevalence_1{local} {cluster} (
  ts DateTime, domain String, hosts UInt32, days UInt8, least UInt32
) ENGINE = {engine:MergeTree:prevalence_1}
PARTITION BY toYYYYMMDD(ts) ORDER BY (ts, domain)
SETTINGS index_granularity = 8192{window};
