"""The tables of the index, and the views that people query."""

from __future__ import annotations

FORMAT = 9  # a database written in another format, or by other readers of facts, is rebuilt

TABLES = f"""
CREATE TABLE IF NOT EXISTS meta (format INTEGER);
INSERT INTO meta SELECT {FORMAT} WHERE NOT EXISTS (FROM meta);
CREATE TABLE IF NOT EXISTS file (path VARCHAR, name VARCHAR, stamp VARCHAR, digest VARCHAR, date VARCHAR,
    folder VARCHAR, run_dir VARCHAR, dataset VARCHAR, checkpoint VARCHAR);
CREATE TABLE IF NOT EXISTS document
    (doc BIGINT, path VARCHAR, line INTEGER, section VARCHAR, text VARCHAR, length INTEGER);
CREATE TABLE IF NOT EXISTS term (term VARCHAR, doc BIGINT, n DOUBLE);
CREATE TABLE IF NOT EXISTS record (path VARCHAR, id VARCHAR, created VARCHAR, kind VARCHAR, case_id VARCHAR,
    query VARCHAR, shard VARCHAR, checkpoint VARCHAR, reference VARCHAR, loss_nats DOUBLE, zone VARCHAR,
    conclusion VARCHAR, text VARCHAR,
    statuses VARCHAR, gate VARCHAR, device VARCHAR, dtype VARCHAR);
CREATE TABLE IF NOT EXISTS fact (path VARCHAR, line INTEGER, section VARCHAR, key VARCHAR, name VARCHAR, about VARCHAR,
    raw VARCHAR, number DOUBLE, unit VARCHAR, unit_source VARCHAR, status_raw VARCHAR, status VARCHAR, run VARCHAR,
    identifiers VARCHAR, epoch DOUBLE, step DOUBLE);
CREATE TABLE IF NOT EXISTS left_out (path VARCHAR, reason VARCHAR, in_file BOOLEAN);
CREATE OR REPLACE VIEW facts AS
    SELECT file.name AS file, line, section, key, raw, number, unit, unit_source, status, status_raw, run, identifiers,
           epoch, step, date, digest
    FROM fact JOIN file USING (path);
CREATE OR REPLACE VIEW files AS SELECT name AS file, date, folder, run_dir, dataset, checkpoint, digest FROM file;
CREATE OR REPLACE VIEW records AS
    SELECT id, created, kind, case_id, checkpoint, shard, reference, loss_nats, zone, conclusion, text, statuses, gate,
           device, dtype FROM record;
"""
VIEWS = ("facts", "files", "records", "left_out")
