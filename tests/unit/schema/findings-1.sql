CREATE TABLE finding(id TEXT PRIMARY KEY, time INTEGER NOT NULL, record TEXT NOT NULL);
CREATE INDEX finding_time ON finding(time);
