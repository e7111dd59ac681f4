BEGIN TRANSACTION;
CREATE TABLE "changes" (
	portion INTEGER NOT NULL, 
	user_id VARCHAR NOT NULL, 
	operation VARCHAR NOT NULL, 
	events BIGINT NOT NULL, 
	first_position VARCHAR NOT NULL, 
	last_position VARCHAR NOT NULL, 
	first_event_at FLOAT NOT NULL, 
	last_event_at FLOAT NOT NULL, 
	fresh_since FLOAT NOT NULL, 
	received_at FLOAT NOT NULL, 
	tried BOOLEAN NOT NULL, learned_by VARCHAR, 
	PRIMARY KEY (portion, user_id)
);
INSERT INTO "changes" VALUES(1,'cy','delete',1,'notifications[0]@43','notifications[0]@43',1098.5,1098.5,1098.5,1100.0,1,NULL);
INSERT INTO "changes" VALUES(1,'di','delete',1,'notifications[0]@44','notifications[0]@44',1098.5,1098.5,1098.5,1100.0,1,NULL);
INSERT INTO "changes" VALUES(1,'ada','upsert',1,'notifications[0]@40','notifications[0]@40',1168.5,1168.5,1168.5,1170.0,0,NULL);
INSERT INTO "changes" VALUES(1,'bo','upsert',1,'notifications[0]@41','notifications[0]@41',1168.5,1168.5,1168.5,1170.0,0,NULL);
INSERT INTO "changes" VALUES(2,'ada','upsert',1,'notifications[1]@1099511628276','notifications[1]@1099511628276',1188.5,1188.5,1188.5,1190.0,0,NULL);
INSERT INTO "changes" VALUES(2,'eve','upsert',1,'notifications[1]@1099511628277','notifications[1]@1099511628277',1188.5,1188.5,1188.5,1190.0,0,NULL);
CREATE TABLE cycles (
	number INTEGER NOT NULL, 
	cycle_id VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	base_version INTEGER, 
	anchor_version INTEGER, 
	lineage JSON NOT NULL, 
	attempts INTEGER NOT NULL, 
	claimed_at FLOAT NOT NULL, 
	ended_at FLOAT, 
	known_users INTEGER, 
	result JSON, accept JSON, settled BOOLEAN DEFAULT 0 NOT NULL, known_labels INTEGER, last_error VARCHAR, forgotten BOOLEAN DEFAULT 0 NOT NULL, 
	PRIMARY KEY (number), 
	UNIQUE (cycle_id)
);
INSERT INTO "cycles" VALUES(1,'c000001-11fcc2f7','bootstrap','nobody has trained yet','registered',NULL,NULL,'{"offsets": {"notifications": {"0": [40, 43], "1": [1099511627776, 1099511627778]}}, "replayed": {}, "changed_users": 4, "first_event_at": "1970-01-01T00:16:48.500000Z", "last_event_at": "1970-01-01T00:16:49.500000Z"}',0,1020.0,1090.0,120,'{"cycle_id": "c000001-11fcc2f7", "outcome": "registered", "reason": "said so", "base_version": null, "version": 1, "known_users": 120, "read": null, "pairs": null, "fit": null, "gate": null, "seconds": {}}','[]',1,NULL,NULL,1);
INSERT INTO "cycles" VALUES(2,'c000002-f15c4750','incremental','enough changed','rejected',1,1,'{"offsets": {"notifications": {"0": [43, 45]}}, "replayed": {}, "changed_users": 2, "first_event_at": "1970-01-01T00:18:18.500000Z", "last_event_at": "1970-01-01T00:18:18.500000Z"}',1,1110.0,1150.0,120,'{"cycle_id": "c000002-f15c4750", "outcome": "rejected", "reason": "said so", "base_version": 1, "version": null, "known_users": 120, "read": null, "pairs": null, "fit": null, "gate": null, "seconds": {}}','[]',0,12,NULL,0);
INSERT INTO "cycles" VALUES(3,'c000003-3a13748b','backfill','replayed','running',1,1,'{"offsets": {"notifications": {"0": [43, 45], "1": [1099511627778, 1099511628276]}}, "replayed": {"notifications": {"0": [40, 42]}}, "changed_users": 4, "first_event_at": "1970-01-01T00:18:18.500000Z", "last_event_at": "1970-01-01T00:19:28.500000Z"}',1,1180.0,NULL,NULL,NULL,'[]',0,NULL,'the trainer ended with code -9 and no result',0);
CREATE TABLE "dead_letters" (
	id INTEGER NOT NULL, 
	topic VARCHAR NOT NULL, 
	partition INTEGER NOT NULL, 
	"offset" BIGINT NOT NULL, 
	event_at FLOAT NOT NULL, 
	"key" BLOB, 
	value BLOB, 
	headers JSON NOT NULL, 
	stage VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	at FLOAT NOT NULL, 
	status VARCHAR DEFAULT 'open' NOT NULL, 
	settled_at FLOAT, 
	settled_reason VARCHAR, 
	published BOOLEAN DEFAULT 0 NOT NULL, 
	digest VARCHAR NOT NULL, 
	record_time BIGINT, 
	topic_id VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT dead_letters_once UNIQUE (topic, partition, "offset", record_time, digest, topic_id)
);
INSERT INTO "dead_letters" VALUES(1,'notifications',0,44,1099.0,X'6B00',X'FFFE7B','{"h": "/g=="}','decode','no JSON',1100.0,'open',NULL,NULL,0,'4ba72814575600a1dbff3c2352ababab',1099000,'');
INSERT INTO "dead_letters" VALUES(2,'notifications',1,1099511627778,1160.0,NULL,NULL,'{}','gap','gone',1160.0,'open',NULL,NULL,0,'8a3cc643b45d8edddd1bf55cc285f7b3',1160000,'');
CREATE TABLE gaps (
	number INTEGER NOT NULL, 
	topic VARCHAR NOT NULL, 
	partition INTEGER NOT NULL, 
	from_offset BIGINT NOT NULL, 
	to_offset BIGINT NOT NULL, 
	at FLOAT NOT NULL, 
	reason VARCHAR NOT NULL, 
	PRIMARY KEY (number)
);
CREATE TABLE identity (
	ledger_id VARCHAR NOT NULL, min_version_exclusive INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (ledger_id)
);
INSERT INTO "identity" VALUES('9e1f524f810a4d89a3fa38c75a81de8c',0);
CREATE TABLE ignored (
	topic VARCHAR NOT NULL, 
	partition INTEGER NOT NULL, 
	reason VARCHAR NOT NULL, 
	events BIGINT NOT NULL, 
	PRIMARY KEY (topic, partition, reason)
);
CREATE TABLE instances (
	instance_id VARCHAR NOT NULL, 
	pid INTEGER NOT NULL, 
	host VARCHAR NOT NULL, 
	state JSON NOT NULL, 
	seen_at FLOAT NOT NULL, name VARCHAR, beats BIGINT DEFAULT '0' NOT NULL, heard_at FLOAT, 
	PRIMARY KEY (instance_id)
);
CREATE TABLE interventions (
	number INTEGER NOT NULL, 
	action VARCHAR NOT NULL, 
	at FLOAT NOT NULL, 
	"by" VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	version INTEGER, 
	PRIMARY KEY (number)
);
INSERT INTO "interventions" VALUES(1,'pin',1790000000.0,'ada@host','a launch',1);
INSERT INTO "interventions" VALUES(2,'unpin',1790000100.0,'ada@host','over',1);
INSERT INTO "interventions" VALUES(3,'pause',1790000200.0,'ada@host','a move',NULL);
INSERT INTO "interventions" VALUES(4,'resume',1790000300.0,'ada@host','moved',NULL);
CREATE TABLE "label_changes" (
	portion INTEGER NOT NULL, 
	pair VARCHAR NOT NULL, 
	operation VARCHAR NOT NULL, 
	events BIGINT NOT NULL, 
	first_position VARCHAR NOT NULL, 
	last_position VARCHAR NOT NULL, 
	first_event_at FLOAT NOT NULL, 
	last_event_at FLOAT NOT NULL, 
	fresh_since FLOAT NOT NULL, 
	received_at FLOAT NOT NULL, 
	tried BOOLEAN NOT NULL, learned_by VARCHAR, 
	PRIMARY KEY (portion, pair)
);
INSERT INTO "label_changes" VALUES(1,'["ada","bo"]','upsert',1,'labels[0]@7','labels[0]@7',1168.5,1168.5,1168.5,1170.0,0,NULL);
INSERT INTO "label_changes" VALUES(2,'["bo","cy"]','delete',2,'labels[0]@8','labels[0]@9',1188.5,1189.5,1188.5,1190.0,1,NULL);
CREATE TABLE learned (
	user_id VARCHAR NOT NULL, 
	received_at FLOAT NOT NULL, operation VARCHAR, first_position VARCHAR, last_position VARCHAR, cycle_id VARCHAR, events BIGINT, first_event_at FLOAT, last_event_at FLOAT, 
	PRIMARY KEY (user_id)
);
INSERT INTO "learned" VALUES('ada',1010.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "learned" VALUES('bo',1010.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "learned" VALUES('ünï ''quoted''',1011.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "learned" VALUES('d;e',1011.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE learned_labels (
	pair VARCHAR NOT NULL, 
	received_at FLOAT NOT NULL, operation VARCHAR, first_position VARCHAR, last_position VARCHAR, cycle_id VARCHAR, events BIGINT, first_event_at FLOAT, last_event_at FLOAT, 
	PRIMARY KEY (pair)
);
INSERT INTO "learned_labels" VALUES('["ada","di"]',1090.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE leases (
	name VARCHAR NOT NULL, 
	holder VARCHAR NOT NULL, 
	token BIGINT NOT NULL, 
	renewals BIGINT NOT NULL, 
	renewed_at FLOAT NOT NULL, holder_name VARCHAR, 
	PRIMARY KEY (name)
);
CREATE TABLE offsets (
	topic VARCHAR NOT NULL, 
	partition INTEGER NOT NULL, 
	next_offset BIGINT NOT NULL, 
	settled_offset BIGINT NOT NULL, 
	events BIGINT NOT NULL, 
	ignored BIGINT NOT NULL, 
	updated_at FLOAT NOT NULL, topic_id VARCHAR, leader_epoch INTEGER, 
	PRIMARY KEY (topic, partition)
);
INSERT INTO "offsets" VALUES('notifications',0,45,43,5,1,1100.0,NULL,NULL);
INSERT INTO "offsets" VALUES('notifications',1,1099511628278,1099511627778,4,0,1190.0,NULL,NULL);
CREATE TABLE outbox (
	number INTEGER NOT NULL, 
	event_id VARCHAR NOT NULL, 
	event JSON NOT NULL, 
	at FLOAT NOT NULL, 
	sent_to_topic BOOLEAN DEFAULT 0 NOT NULL, 
	sent_to_webhook BOOLEAN DEFAULT 0 NOT NULL, 
	last_error VARCHAR, 
	PRIMARY KEY (number), 
	UNIQUE (event_id)
);
INSERT INTO "outbox" VALUES(1,'9e1f524f810a4d89a3fa38c75a81de8c-p2','{"type": "retrainer.promoted", "facts": {"version": 1, "champion": 1, "promotion": 2, "previous": 1, "cycle_id": "c000001-11fcc2f7", "outcome": "registered", "reason": "by hand", "by": "ada@host", "towers_changed": false, "index_compatible_with": null, "compatibility": null, "figures": null, "champion_figures": null, "way_out": null}}',1790000400.0,0,0,NULL);
CREATE TABLE portions (
	kind VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	cycle_id VARCHAR NOT NULL, 
	rows BIGINT NOT NULL, 
	untried BIGINT NOT NULL, 
	first_event_at FLOAT, 
	last_event_at FLOAT, 
	fresh_since FLOAT, 
	received_at FLOAT, 
	PRIMARY KEY (kind, number)
);
INSERT INTO "portions" VALUES('users',1,'c000003-3a13748b',4,2,1098.5,1168.5,1168.5,1170.0);
INSERT INTO "portions" VALUES('users',2,'',2,2,1188.5,1188.5,1188.5,1190.0);
INSERT INTO "portions" VALUES('labels',1,'c000003-3a13748b',1,1,1168.5,1168.5,1168.5,1170.0);
INSERT INTO "portions" VALUES('labels',2,'',1,0,1188.5,1189.5,NULL,NULL);
CREATE TABLE probes (
	number INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	version INTEGER, 
	changes INTEGER NOT NULL, 
	regret FLOAT, 
	error FLOAT, 
	told VARCHAR NOT NULL, after_cycle INTEGER, 
	PRIMARY KEY (number)
);
INSERT INTO "probes" VALUES(1,1150.0,1,7,0.01,0.004,'the champion has lost 0.010 of its AUC',2);
CREATE TABLE promotions (
	number INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	reason VARCHAR NOT NULL, action VARCHAR DEFAULT 'cycle' NOT NULL, "by" VARCHAR, previous INTEGER, hold_down_until FLOAT, 
	PRIMARY KEY (number)
);
INSERT INTO "promotions" VALUES(1,1,1090.0,'said so','cycle',NULL,NULL,NULL);
INSERT INTO "promotions" VALUES(2,1,1790000400.0,'by hand','promote','ada@host',1,NULL);
CREATE TABLE refused_labels (
	pair VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	since FLOAT NOT NULL, 
	last_at FLOAT NOT NULL, 
	times BIGINT NOT NULL, 
	cycle_id VARCHAR NOT NULL, 
	PRIMARY KEY (pair)
);
INSERT INTO "refused_labels" VALUES('["bo","zoe"]','weight is not finite',1150.0,1150.0,1,'c000002-f15c4750');
CREATE TABLE refused_users (
	user_id VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	since FLOAT NOT NULL, 
	last_at FLOAT NOT NULL, 
	times BIGINT NOT NULL, 
	cycle_id VARCHAR NOT NULL, 
	PRIMARY KEY (user_id)
);
INSERT INTO "refused_users" VALUES('zoe','year is missing',1150.0,1150.0,1,'c000002-f15c4750');
CREATE TABLE replays (
	number INTEGER NOT NULL, 
	ranges JSON NOT NULL, 
	events BIGINT NOT NULL, 
	users INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	cycle_id VARCHAR NOT NULL, labels INTEGER DEFAULT '0' NOT NULL, replay_id VARCHAR, request INTEGER, told JSON, 
	PRIMARY KEY (number)
);
INSERT INTO "replays" VALUES(1,'{"notifications": {"0": [40, 42]}}',2,2,1170.0,'c000003-3a13748b',0,NULL,NULL,NULL);
CREATE TABLE "retrain_requests" (
	number INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	"by" VARCHAR NOT NULL, 
	at FLOAT NOT NULL, 
	cycle_id VARCHAR, accept JSON, why VARCHAR, 
	PRIMARY KEY (number)
);
INSERT INTO "retrain_requests" VALUES(1,'full','operator',1012.0,'c000001-11fcc2f7',NULL,NULL);
INSERT INTO "retrain_requests" VALUES(2,'backfill','operator',1170.0,'c000003-3a13748b',NULL,NULL);
INSERT INTO "retrain_requests" VALUES(3,'full','schedule',1200.0,NULL,NULL,NULL);
INSERT INTO "retrain_requests" VALUES(4,'full','trainer',1201.0,NULL,NULL,'the space has drifted');
CREATE TABLE schema_version (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "schema_version" VALUES(8);
CREATE TABLE versions (
	version INTEGER NOT NULL, 
	cycle_id VARCHAR NOT NULL, 
	registered_at FLOAT NOT NULL, not_promoted VARCHAR, withdrawn BOOLEAN DEFAULT 0 NOT NULL, deleted_at FLOAT, freed_bytes BIGINT, 
	PRIMARY KEY (version), 
	UNIQUE (cycle_id)
);
INSERT INTO "versions" VALUES(1,'c000001-11fcc2f7',1090.0,NULL,0,NULL,NULL);
CREATE INDEX ix_learned_received_at ON learned (received_at);
CREATE INDEX cycles_of_a_kind ON cycles (kind, number);
CREATE INDEX ix_learned_labels_received_at ON learned_labels (received_at);
CREATE UNIQUE INDEX replays_once ON replays (replay_id);
CREATE INDEX portions_of_a_cycle ON portions (cycle_id);
CREATE INDEX cycles_of_a_state ON cycles (state, kind, number);
CREATE INDEX cycles_settled ON cycles (settled, number);
CREATE INDEX cycles_for_a_reason ON cycles (reason, kind, number);
CREATE INDEX dead_letters_of_a_status ON dead_letters (status, id);
CREATE INDEX dead_letters_to_publish ON dead_letters (published, id);
CREATE INDEX retrain_requests_open ON retrain_requests (cycle_id);
CREATE INDEX ix_learned_cycle_id ON learned (cycle_id);
CREATE INDEX ix_learned_labels_cycle_id ON learned_labels (cycle_id);
CREATE INDEX promotions_of_an_action ON promotions (action, number);
CREATE INDEX promotions_of_a_version ON promotions (version, number);
CREATE INDEX interventions_of_an_action ON interventions (action, number);
CREATE INDEX outbox_for_the_topic ON outbox (sent_to_topic, number);
CREATE INDEX outbox_for_the_webhook ON outbox (sent_to_webhook, number);
COMMIT;
