"""The tables of the state file, and the steps by which an older file comes to them.

**Each step only adds**: a table, a column with a default, an index. So a version that does not know the newest step can
go on with the file: what it does not understand it leaves as it is. The documents in the tables follow the same rule.

A step is run once, in its order, in one transaction with those after it; never change one that was released.
"""

FIRST = """
CREATE TABLE IF NOT EXISTS incidents (
    id INTEGER PRIMARY KEY, is_open INTEGER NOT NULL, changed_at TEXT NOT NULL, document TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS incidents_open ON incidents (is_open) WHERE is_open = 1;
CREATE TABLE IF NOT EXISTS told (
    incident_id INTEGER NOT NULL, target TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (incident_id, target)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, created_at TEXT NOT NULL, incident_id INTEGER, event TEXT NOT NULL,
    target TEXT NOT NULL, message TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    not_before TEXT NOT NULL, started_at TEXT, settled_at TEXT, error TEXT, crashes INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (state) WHERE state IN ('waiting', 'sending');
CREATE TABLE IF NOT EXISTS acknowledgements (
    incident_id INTEGER PRIMARY KEY, at TEXT NOT NULL, by TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS silences (
    id INTEGER PRIMARY KEY AUTOINCREMENT, match TEXT NOT NULL, starts_at TEXT NOT NULL, ends_at TEXT NOT NULL,
    by TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS alerts (
    channel TEXT NOT NULL, fingerprint TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (channel, fingerprint)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS actions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, state TEXT NOT NULL, created_at TEXT NOT NULL, document TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS actions_open ON actions (state) WHERE state IN ('intended', 'begun', 'acted', 'proposed');
CREATE TABLE IF NOT EXISTS approvals (action_id INTEGER PRIMARY KEY, at TEXT NOT NULL, by TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS preserved (
    source TEXT NOT NULL, job_id TEXT NOT NULL, name TEXT NOT NULL, row TEXT NOT NULL, preserved_at TEXT NOT NULL,
    sweep_at TEXT, gone_at TEXT, restored_at TEXT, PRIMARY KEY (source, job_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS told_once (key TEXT PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
    source TEXT NOT NULL, job_id TEXT NOT NULL, ended_at TEXT NOT NULL, started_at TEXT, status TEXT,
    duration_seconds REAL, input_tokens INTEGER, output_tokens INTEGER, cost_usd REAL, error TEXT,
    PRIMARY KEY (source, job_id, ended_at)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS job_states (
    source TEXT NOT NULL, job_id TEXT NOT NULL, at TEXT NOT NULL, state TEXT NOT NULL,
    PRIMARY KEY (source, job_id, at)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS web_audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, by TEXT NOT NULL, address TEXT NOT NULL, what TEXT NOT NULL
);
"""
"""As far as it is missing: in format 1 each part made its tables when it first ran."""

_FACT = "GENERATED ALWAYS AS (iif(json_valid(document), json_extract(document, '$.{}'), NULL)) VIRTUAL"
"""A fact of a document as a column; of a damaged document NULL, so that no step fails over it."""

BY_INDEX = f"""
{FIRST}
ALTER TABLE actions ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE actions ADD COLUMN reported_at TEXT;
ALTER TABLE actions ADD COLUMN source TEXT {_FACT.format("source")};
ALTER TABLE actions ADD COLUMN kind TEXT {_FACT.format("kind")};
ALTER TABLE actions ADD COLUMN way TEXT {_FACT.format("way")};
ALTER TABLE actions ADD COLUMN job_id TEXT {_FACT.format("job_id")};
ALTER TABLE actions ADD COLUMN circuit TEXT {_FACT.format("circuit")};
UPDATE actions SET reported_at = (SELECT at FROM told_once WHERE key = 'settled|' || actions.id);
DELETE FROM told_once WHERE key >= 'settled|' AND key < 'settled}}';
DROP INDEX actions_open;
CREATE INDEX actions_by_state ON actions (state);
CREATE INDEX actions_by_job ON actions (source, kind, job_id) WHERE state <> 'refused';
CREATE INDEX actions_by_circuit ON actions (circuit, kind) WHERE state <> 'refused';
CREATE INDEX actions_that_restart ON actions (source) WHERE kind = 'restart' OR way = 'restart';
CREATE INDEX refusals_by_job ON actions (source, kind, job_id) WHERE state = 'refused';
CREATE INDEX refusals_by_circuit ON actions (circuit, kind) WHERE state = 'refused';
CREATE INDEX actions_that_were_done ON actions (id) WHERE state <> 'refused';
CREATE INDEX actions_by_revision ON actions (revision);
CREATE INDEX actions_unreported ON actions (state) WHERE reported_at IS NULL;
DROP INDEX outbox_waiting;
CREATE INDEX outbox_by_state ON outbox (state);
CREATE INDEX outbox_by_incident ON outbox (incident_id);
CREATE INDEX silences_by_end ON silences (ends_at);
CREATE TABLE memory (
    source TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL, document TEXT NOT NULL, updated_at TEXT NOT NULL,
    PRIMARY KEY (source, name, key)
) WITHOUT ROWID;
CREATE INDEX memory_by_age ON memory (updated_at);
"""
"""What is asked at every turn is found without reading what is over; and what a source remembers has a table."""

HANDOVERS = """
CREATE TABLE handovers (
    id INTEGER PRIMARY KEY AUTOINCREMENT, incident_id INTEGER NOT NULL, at TEXT NOT NULL, by TEXT NOT NULL,
    is_taken INTEGER NOT NULL
);
CREATE INDEX handovers_by_incident ON handovers (incident_id);
"""
"""Who took an incident on and gave it back, one after the other; `acknowledgements` has who is on it now."""

STEPS = (FIRST, BY_INDEX, HANDOVERS)

VERSION = len(STEPS)
"""The format that this version writes."""
