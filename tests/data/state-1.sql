BEGIN TRANSACTION;
CREATE TABLE acknowledgements (
    incident_id INTEGER PRIMARY KEY, at TEXT NOT NULL, by TEXT NOT NULL
);
INSERT INTO "acknowledgements" VALUES(1,'2026-06-09T04:00:00Z','jo');
INSERT INTO "acknowledgements" VALUES(2,'2026-06-10T08:30:00Z','maria');
CREATE TABLE actions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, state TEXT NOT NULL, created_at TEXT NOT NULL, document TEXT NOT NULL
);
INSERT INTO "actions" VALUES(1,'proposed','2026-06-10T08:00:00Z','{"created": ["2026-06-10T08:00:00Z", -2599.5, "boot-1"], "policy": "bring-back", "kind": "revive", "source": "phantom", "job_id": "id-0", "job": "job-0", "circuit": "phantom|bring-back|transient", "state": "proposed", "by": "policy", "why": "failed: it goes first, as the canary", "seen": {"status": "failed", "consecutive_errors": 10, "payload": {"base64": "AP8="}}, "ways": ["api", "sql"], "way": "", "is_canary": true, "acted_at": null, "heard_by": null, "begun": null, "settled": null, "about": "failed", "not_before": null, "steps": [["2026-06-10T08:00:00Z", "failed since 2026-06-10 08:00 UTC"]]}');
INSERT INTO "actions" VALUES(2,'intended','2026-06-10T08:00:00Z','{"created": ["2026-06-10T08:00:00Z", -2599.5, "boot-1"], "policy": "bring-back", "kind": "revive", "source": "phantom", "job_id": "id-1", "job": "job-1", "circuit": "phantom|bring-back|transient", "state": "intended", "by": "policy", "why": "failed: it goes first, as the canary", "seen": {"status": "failed", "consecutive_errors": 10, "payload": {"base64": "AP8="}}, "ways": ["api", "sql"], "way": "", "is_canary": true, "acted_at": null, "heard_by": null, "begun": null, "settled": null, "about": "failed", "not_before": null, "steps": [["2026-06-10T08:00:00Z", "failed since 2026-06-10 08:00 UTC"]]}');
INSERT INTO "actions" VALUES(3,'begun','2026-06-10T08:00:00Z','{"created": ["2026-06-10T08:00:00Z", -2599.5, "boot-1"], "policy": "bring-back", "kind": "revive", "source": "phantom", "job_id": "id-2", "job": "job-2", "circuit": "phantom|bring-back|transient", "state": "begun", "by": "policy", "why": "failed: it goes first, as the canary", "seen": {"status": "failed", "consecutive_errors": 10, "payload": {"base64": "AP8="}}, "ways": ["sql"], "way": "api", "is_canary": true, "acted_at": null, "heard_by": null, "begun": ["2026-06-10T08:10:00Z", -1999.5, "boot-1"], "settled": null, "about": "failed", "not_before": "2026-06-10T09:01:00Z", "steps": [["2026-06-10T08:00:00Z", "failed since 2026-06-10 08:00 UTC"], ["2026-06-10T08:10:00Z", "begun"]]}');
INSERT INTO "actions" VALUES(4,'acted','2026-06-10T08:00:00Z','{"created": ["2026-06-10T08:00:00Z", -2599.5, "boot-1"], "policy": "bring-back", "kind": "revive", "source": "phantom", "job_id": "id-3", "job": "job-3", "circuit": "phantom|bring-back|transient", "state": "acted", "by": "policy", "why": "failed: it goes first, as the canary", "seen": {"status": "failed", "consecutive_errors": 10, "payload": {"base64": "AP8="}}, "ways": ["sql"], "way": "api", "is_canary": true, "acted_at": "2026-06-10T08:11:00Z", "heard_by": "2026-06-10T08:40:00Z", "begun": ["2026-06-10T08:10:00Z", -1999.5, "boot-1"], "settled": null, "about": "failed", "not_before": null, "steps": [["2026-06-10T08:00:00Z", "failed since 2026-06-10 08:00 UTC"], ["2026-06-10T08:10:00Z", "begun"], ["2026-06-10T08:11:00Z", "the API resumed it"]]}');
INSERT INTO "actions" VALUES(5,'verified','2026-06-10T08:00:00Z','{"created": ["2026-06-10T08:00:00Z", -2599.5, "boot-1"], "policy": "bring-back", "kind": "revive", "source": "phantom", "job_id": "id-4", "job": "job-4", "circuit": "phantom|bring-back|transient", "state": "verified", "by": "policy", "why": "failed: it goes first, as the canary", "seen": {"status": "failed", "consecutive_errors": 10, "payload": {"base64": "AP8="}}, "ways": ["sql"], "way": "api", "is_canary": true, "acted_at": "2026-06-10T08:11:00Z", "heard_by": "2026-06-10T08:40:00Z", "begun": ["2026-06-10T08:10:00Z", -1999.5, "boot-1"], "settled": ["2026-06-10T08:45:00Z", 100.5, "boot-1"], "about": "failed", "not_before": null, "steps": [["2026-06-10T08:00:00Z", "failed since 2026-06-10 08:00 UTC"], ["2026-06-10T08:10:00Z", "begun"], ["2026-06-10T08:11:00Z", "the API resumed it"], ["2026-06-10T08:45:00Z", "it is verified"]]}');
INSERT INTO "actions" VALUES(6,'ineffective','2026-06-10T08:00:00Z','{"created": ["2026-06-10T08:00:00Z", -2599.5, "boot-1"], "policy": "bring-back", "kind": "revive", "source": "phantom", "job_id": "id-5", "job": "job-5", "circuit": "phantom|bring-back|transient", "state": "ineffective", "by": "policy", "why": "failed: it goes first, as the canary", "seen": {"status": "failed", "consecutive_errors": 10, "payload": {"base64": "AP8="}}, "ways": ["sql"], "way": "api", "is_canary": true, "acted_at": "2026-06-10T08:11:00Z", "heard_by": "2026-06-10T08:40:00Z", "begun": ["2026-06-10T08:10:00Z", -1999.5, "boot-1"], "settled": ["2026-06-10T08:45:00Z", 100.5, "boot-1"], "about": "failed", "not_before": null, "steps": [["2026-06-10T08:00:00Z", "failed since 2026-06-10 08:00 UTC"], ["2026-06-10T08:10:00Z", "begun"], ["2026-06-10T08:11:00Z", "the API resumed it"], ["2026-06-10T08:45:00Z", "it is ineffective"]]}');
INSERT INTO "actions" VALUES(7,'refused','2026-06-10T08:00:00Z','{"created": ["2026-06-10T08:00:00Z", -2599.5, "boot-1"], "policy": "bring-back", "kind": "revive", "source": "phantom", "job_id": "id-6", "job": "job-6", "circuit": "phantom|bring-back|transient", "state": "refused", "by": "policy", "why": "failed: it goes first, as the canary", "seen": {"status": "failed", "consecutive_errors": 10, "payload": {"base64": "AP8="}}, "ways": ["sql"], "way": "api", "is_canary": true, "acted_at": null, "heard_by": null, "begun": ["2026-06-10T08:10:00Z", -1999.5, "boot-1"], "settled": ["2026-06-10T08:45:00Z", 100.5, "boot-1"], "about": "failed", "not_before": null, "steps": [["2026-06-10T08:00:00Z", "failed since 2026-06-10 08:00 UTC"], ["2026-06-10T08:10:00Z", "begun"], ["2026-06-10T08:45:00Z", "it is refused"]]}');
INSERT INTO "actions" VALUES(8,'failed','2026-06-10T08:00:00Z','{"created": ["2026-06-10T08:00:00Z", -2599.5, "boot-1"], "policy": "bring-back", "kind": "revive", "source": "phantom", "job_id": "id-7", "job": "job-7", "circuit": "phantom|bring-back|transient", "state": "failed", "by": "policy", "why": "failed: it goes first, as the canary", "seen": {"status": "failed", "consecutive_errors": 10, "payload": {"base64": "AP8="}}, "ways": ["sql"], "way": "api", "is_canary": true, "acted_at": "2026-06-10T08:11:00Z", "heard_by": "2026-06-10T08:40:00Z", "begun": ["2026-06-10T08:10:00Z", -1999.5, "boot-1"], "settled": ["2026-06-10T08:45:00Z", 100.5, "boot-1"], "about": "failed", "not_before": null, "steps": [["2026-06-10T08:00:00Z", "failed since 2026-06-10 08:00 UTC"], ["2026-06-10T08:10:00Z", "begun"], ["2026-06-10T08:11:00Z", "the API resumed it"], ["2026-06-10T08:45:00Z", "it is failed"]]}');
INSERT INTO "actions" VALUES(9,'unable','2026-06-10T08:00:00Z','{"created": ["2026-06-10T08:00:00Z", -2599.5, "boot-1"], "policy": "bring-back", "kind": "revive", "source": "phantom", "job_id": "id-8", "job": "job-8", "circuit": "phantom|bring-back|transient", "state": "unable", "by": "policy", "why": "failed: it goes first, as the canary", "seen": {"status": "failed", "consecutive_errors": 10, "payload": {"base64": "AP8="}}, "ways": ["sql"], "way": "api", "is_canary": true, "acted_at": "2026-06-10T08:11:00Z", "heard_by": "2026-06-10T08:40:00Z", "begun": ["2026-06-10T08:10:00Z", -1999.5, "boot-1"], "settled": ["2026-06-10T08:45:00Z", 100.5, "boot-1"], "about": "failed", "not_before": null, "steps": [["2026-06-10T08:00:00Z", "failed since 2026-06-10 08:00 UTC"], ["2026-06-10T08:10:00Z", "begun"], ["2026-06-10T08:11:00Z", "the API resumed it"], ["2026-06-10T08:45:00Z", "it is unable"]]}');
INSERT INTO "actions" VALUES(10,'unknown','2026-06-10T08:00:00Z','{"created": ["2026-06-10T08:00:00Z", -2599.5, "boot-1"], "policy": "bring-back", "kind": "revive", "source": "phantom", "job_id": "id-9", "job": "job-9", "circuit": "phantom|bring-back|transient", "state": "unknown", "by": "policy", "why": "failed: it goes first, as the canary", "seen": {"status": "failed", "consecutive_errors": 10, "payload": {"base64": "AP8="}}, "ways": ["sql"], "way": "api", "is_canary": true, "acted_at": "2026-06-10T08:11:00Z", "heard_by": "2026-06-10T08:40:00Z", "begun": ["2026-06-10T08:10:00Z", -1999.5, "boot-1"], "settled": ["2026-06-10T08:45:00Z", 100.5, "boot-1"], "about": "failed", "not_before": null, "steps": [["2026-06-10T08:00:00Z", "failed since 2026-06-10 08:00 UTC"], ["2026-06-10T08:10:00Z", "begun"], ["2026-06-10T08:11:00Z", "the API resumed it"], ["2026-06-10T08:45:00Z", "it is unknown"]]}');
CREATE TABLE alerts (
    channel TEXT NOT NULL, fingerprint TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (channel, fingerprint)
) WITHOUT ROWID;
INSERT INTO "alerts" VALUES('am','f1','{"labels": {"alertname": "WatchdogStalled", "source": "phantom"}, "startsAt": "2026-06-10T08:40:00Z", "endsAt": "2026-06-10T09:04:00Z"}');
CREATE TABLE approvals (action_id INTEGER PRIMARY KEY, at TEXT NOT NULL, by TEXT NOT NULL);
INSERT INTO "approvals" VALUES(1,'2026-06-10T08:59:00Z','maria');
CREATE TABLE incidents (
    id INTEGER PRIMARY KEY, is_open INTEGER NOT NULL, changed_at TEXT NOT NULL, document TEXT NOT NULL
);
INSERT INTO "incidents" VALUES(1,0,'2026-06-09T05:00:00Z','{"id": 1, "source": "phantom", "family": "undelivered", "scope": "", "opened_at": "2026-06-09T03:00:00Z", "changed_at": "2026-06-09T05:00:00Z", "severity": "warning", "clear_since": "2026-06-09T04:00:00Z", "resolved_at": "2026-06-09T05:00:00Z", "returns": 0, "joined_at": "2026-06-09T03:00:00Z", "merged_into": null, "members": [{"first_seen": "2026-06-09T03:00:00Z", "ended_at": "2026-06-09T04:00:00Z", "under": false, "source": "phantom", "kind": "undelivered", "severity": "warning", "job_id": "id-old", "job": "old", "since": "2026-06-10T08:00:00Z", "summary": "old is undelivered", "evidence": {"delivery_status": "error: no such channel"}, "caused_by": null}]}');
INSERT INTO "incidents" VALUES(2,1,'2026-06-10T08:00:00Z','{"id": 2, "source": "phantom", "family": "errors", "scope": "transient", "opened_at": "2026-06-10T07:00:00Z", "changed_at": "2026-06-10T08:00:00Z", "severity": "critical", "clear_since": null, "resolved_at": null, "returns": 0, "joined_at": "2026-06-10T08:00:00Z", "merged_into": null, "members": [{"first_seen": "2026-06-10T07:00:00Z", "ended_at": null, "under": false, "source": "phantom", "kind": "failed", "severity": "critical", "job_id": "id-digest", "job": "digest", "since": "2026-06-10T08:00:00Z", "summary": "digest is failed", "evidence": {"errors": 10, "error_class": "transient", "sweep_at": "2026-06-16T09:00:00.250Z"}, "caused_by": null}, {"first_seen": "2026-06-10T08:00:00Z", "ended_at": null, "under": false, "source": "phantom", "kind": "failed", "severity": "critical", "job_id": "id-triage", "job": "triage", "since": "2026-06-10T08:00:00Z", "summary": "triage is failed", "evidence": {"errors": 10, "error_class": "transient"}, "caused_by": null}]}');
INSERT INTO "incidents" VALUES(3,1,'2026-06-10T08:40:00Z','{"id": 3, "source": "phantom", "family": "stalled", "scope": "", "opened_at": "2026-06-10T08:40:00Z", "changed_at": "2026-06-10T08:40:00Z", "severity": "critical", "clear_since": null, "resolved_at": null, "returns": 0, "joined_at": "2026-06-10T08:40:00Z", "merged_into": null, "members": [{"first_seen": "2026-06-10T08:40:00Z", "ended_at": null, "under": false, "source": "phantom", "kind": "stalled", "severity": "critical", "job_id": null, "job": null, "since": "2026-06-10T08:00:00Z", "summary": "nothing has started since 08:00", "evidence": {"late_by": 3300.0, "due": "2026-06-10T08:00:00Z"}, "caused_by": null}, {"first_seen": "2026-06-10T08:40:00Z", "ended_at": null, "under": true, "source": "phantom", "kind": "overdue", "severity": "warning", "job_id": "id-heartbeat", "job": "heartbeat", "since": "2026-06-10T08:30:00Z", "summary": "heartbeat is overdue", "evidence": {"deadline": "2026-06-10T08:40:00Z"}, "caused_by": ["stalled", null, null]}]}');
INSERT INTO "incidents" VALUES(4,1,'2026-06-10T08:55:00Z','{"id": 4, "source": "phantom", "family": "errors", "scope": "none", "opened_at": "2026-06-10T08:50:00Z", "changed_at": "2026-06-10T08:55:00Z", "severity": "warning", "clear_since": "2026-06-10T08:55:00Z", "resolved_at": null, "returns": 0, "joined_at": "2026-06-10T08:50:00Z", "merged_into": null, "members": [{"first_seen": "2026-06-10T08:50:00Z", "ended_at": "2026-06-10T08:55:00Z", "under": false, "source": "phantom", "kind": "zero_tokens", "severity": "warning", "job_id": "id-news", "job": "news", "since": "2026-06-10T08:00:00Z", "summary": "news is zero_tokens", "evidence": {"count": 4}, "caused_by": null}]}');
CREATE TABLE job_states (
    source TEXT NOT NULL, job_id TEXT NOT NULL, at TEXT NOT NULL, state TEXT NOT NULL,
    PRIMARY KEY (source, job_id, at)
) WITHOUT ROWID;
INSERT INTO "job_states" VALUES('phantom','id-digest','2026-06-10T07:00:00Z','failed');
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, created_at TEXT NOT NULL, incident_id INTEGER, event TEXT NOT NULL,
    target TEXT NOT NULL, message TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    not_before TEXT NOT NULL, started_at TEXT, settled_at TEXT, error TEXT, crashes INTEGER NOT NULL DEFAULT 0
);
INSERT INTO "outbox" VALUES(1,'2026-06-09T03:00:00Z',1,'opened','ops','{"title": "CRITICAL: opened", "text": "so it is", "type": "failure"}','sent',1,'2026-06-09T03:00:00Z','2026-06-09T05:00:00Z','2026-06-09T05:01:00Z',NULL,0);
INSERT INTO "outbox" VALUES(2,'2026-06-09T05:00:00Z',1,'resolved','ops','{"title": "CRITICAL: resolved", "text": "so it is", "type": "failure"}','sent',1,'2026-06-09T05:00:00Z','2026-06-09T05:00:00Z','2026-06-09T05:01:00Z',NULL,0);
INSERT INTO "outbox" VALUES(3,'2026-06-10T08:40:00Z',2,'opened','ops','{"title": "CRITICAL: opened", "text": "so it is", "type": "failure"}','waiting',1,'2026-06-10T08:41:15Z','2026-06-10T08:41:00Z',NULL,'connection refused',0);
INSERT INTO "outbox" VALUES(4,'2026-06-10T08:40:00Z',2,'opened','mail:maria','{"title": "CRITICAL: opened", "text": "so it is", "type": "failure"}','sending',1,'2026-06-10T08:40:00Z','2026-06-10T08:59:00Z',NULL,NULL,0);
INSERT INTO "outbox" VALUES(5,'2026-06-10T08:40:00Z',3,'opened','ops','{"title": "CRITICAL: opened", "text": "so it is", "type": "failure"}','given_up',0,'2026-06-10T08:40:00Z',NULL,'2026-06-10T08:59:00Z','the channel is gone',0);
INSERT INTO "outbox" VALUES(6,'2026-06-10T08:40:00Z',3,'worse','ops','{"title": "CRITICAL: worse", "text": "so it is", "type": "failure"}','waiting',0,'2026-06-10T08:40:00Z',NULL,NULL,NULL,0);
INSERT INTO "outbox" VALUES(7,'2026-06-10T08:40:00Z',NULL,'recovery','ops','{"title": "CRITICAL: recovery", "text": "so it is", "type": "failure"}','waiting',0,'2026-06-10T08:40:00Z',NULL,NULL,NULL,0);
CREATE TABLE preserved (
    source TEXT NOT NULL, job_id TEXT NOT NULL, name TEXT NOT NULL, row TEXT NOT NULL, preserved_at TEXT NOT NULL,
    sweep_at TEXT, gone_at TEXT, restored_at TEXT, PRIMARY KEY (source, job_id)
) WITHOUT ROWID;
INSERT INTO "preserved" VALUES('phantom','id-digest','digest','{"id": "id-digest", "name": "digest", "blob": {"base64": "AQI="}, "n": null}','2026-06-10T07:00:00Z','2026-06-16T09:00:00Z',NULL,NULL);
INSERT INTO "preserved" VALUES('phantom','id-gone','gone','{"id": "id-gone"}','2026-05-01T09:00:00Z','2026-05-31T09:00:00Z','2026-05-31T09:00:00Z',NULL);
CREATE TABLE runs (
    source TEXT NOT NULL, job_id TEXT NOT NULL, ended_at TEXT NOT NULL, started_at TEXT, status TEXT,
    duration_seconds REAL, input_tokens INTEGER, output_tokens INTEGER, cost_usd REAL, error TEXT,
    PRIMARY KEY (source, job_id, ended_at)
) WITHOUT ROWID;
INSERT INTO "runs" VALUES('phantom','id-heartbeat','2026-06-10T06:00:00Z','2026-06-10T05:59:00Z','ok',60.0,300,20,0.25,NULL);
INSERT INTO "runs" VALUES('phantom','id-heartbeat','2026-06-10T07:00:00Z','2026-06-10T06:59:00Z','error',60.0,200,20,0.25,'429');
INSERT INTO "runs" VALUES('phantom','id-heartbeat','2026-06-10T08:00:00Z','2026-06-10T07:59:00Z','ok',60.0,100,20,0.25,NULL);
CREATE TABLE silences (
    id INTEGER PRIMARY KEY AUTOINCREMENT, match TEXT NOT NULL, starts_at TEXT NOT NULL, ends_at TEXT NOT NULL,
    by TEXT NOT NULL
);
INSERT INTO "silences" VALUES(1,'kind=overdue,job=heartbeat*','2026-06-10T08:00:00Z','2026-06-10T10:00:00Z','maria');
INSERT INTO "silences" VALUES(2,'old','2026-06-09T03:00:00Z','2026-06-09T05:00:00Z','jo');
CREATE TABLE told (
    incident_id INTEGER NOT NULL, target TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (incident_id, target)
) WITHOUT ROWID;
INSERT INTO "told" VALUES(1,'ops','{"first_at": "2026-06-09T03:00:00Z", "last_at": "2026-06-09T05:00:00Z", "severity": "warning", "returns": 0, "count": 2, "is_over": true}');
INSERT INTO "told" VALUES(2,'mail:maria','{"first_at": "2026-06-10T07:00:00Z", "last_at": "2026-06-10T07:00:00Z", "severity": "critical", "returns": 0, "count": 1, "is_over": false}');
INSERT INTO "told" VALUES(2,'ops','{"first_at": "2026-06-10T07:00:00Z", "last_at": "2026-06-10T08:00:00Z", "severity": "critical", "returns": 0, "count": 2, "is_over": false}');
INSERT INTO "told" VALUES(3,'ops','{"first_at": "2026-06-10T08:40:00Z", "last_at": "2026-06-10T08:40:00Z", "severity": "critical", "returns": 1, "count": 3, "is_over": false}');
CREATE TABLE told_once (key TEXT PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "told_once" VALUES('settled|5','2026-06-10T08:46:00Z');
INSERT INTO "told_once" VALUES('settled|6','2026-06-10T08:46:00Z');
INSERT INTO "told_once" VALUES('used_up|phantom|bring-back|transient|5','2026-06-10T08:00:00Z');
INSERT INTO "told_once" VALUES('would|phantom|bring-back|transient|','2026-06-10T08:00:00Z');
CREATE TABLE web_audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, by TEXT NOT NULL, address TEXT NOT NULL, what TEXT NOT NULL
);
INSERT INTO "web_audit" VALUES(1,'2026-06-10T08:30:00Z','maria (API)','127.0.0.1','acknowledged incident 2: digest is failed');
CREATE INDEX incidents_open ON incidents (is_open) WHERE is_open = 1;
CREATE INDEX outbox_waiting ON outbox (state) WHERE state IN ('waiting', 'sending');
CREATE INDEX actions_open ON actions (state) WHERE state IN ('intended', 'begun', 'acted', 'proposed');
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('outbox',7);
INSERT INTO "sqlite_sequence" VALUES('silences',2);
INSERT INTO "sqlite_sequence" VALUES('actions',10);
INSERT INTO "sqlite_sequence" VALUES('web_audit',1);
COMMIT;
PRAGMA user_version = 1;
