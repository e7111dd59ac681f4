BEGIN TRANSACTION;
CREATE TABLE asked (
	number INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	"by" VARCHAR NOT NULL, 
	at FLOAT NOT NULL, 
	cycle_id VARCHAR, 
	accept JSON, 
	why VARCHAR, 
	PRIMARY KEY (number)
);
INSERT INTO "asked" VALUES(1,'full','schedule',1043.0,NULL,NULL,'0 3 * * *');
INSERT INTO "asked" VALUES(2,'incremental','operator',1044.0,'c000002-363c369f','["lost_share"]',NULL);
INSERT INTO "asked" VALUES(3,'backfill','operator',1045.0,'c000002-363c369f',NULL,NULL);
CREATE TABLE changes (
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
	tried BOOLEAN NOT NULL, 
	PRIMARY KEY (portion, user_id)
);
INSERT INTO "changes" VALUES(1,'u0','upsert',2,'changes[0]@200','changes[0]@0',1009.0,1039.0,1040.0,1045.0,0);
INSERT INTO "changes" VALUES(1,'u1','upsert',2,'changes[0]@201','changes[0]@1',1009.0,1039.0,1040.0,1045.0,0);
INSERT INTO "changes" VALUES(1,'u10','upsert',1,'changes[0]@210','changes[0]@210',1039.0,1039.0,1040.0,1040.0,0);
INSERT INTO "changes" VALUES(1,'u11','upsert',1,'changes[0]@211','changes[0]@211',1039.0,1039.0,1040.0,1040.0,0);
INSERT INTO "changes" VALUES(1,'u12','upsert',1,'changes[0]@212','changes[0]@212',1039.0,1039.0,1040.0,1040.0,0);
INSERT INTO "changes" VALUES(1,'u13','upsert',1,'changes[0]@213','changes[0]@213',1039.0,1039.0,1040.0,1040.0,0);
INSERT INTO "changes" VALUES(1,'u14','upsert',1,'changes[0]@214','changes[0]@214',1039.0,1039.0,1040.0,1040.0,0);
INSERT INTO "changes" VALUES(1,'u15','upsert',1,'changes[0]@215','changes[0]@215',1039.0,1039.0,1040.0,1040.0,0);
INSERT INTO "changes" VALUES(1,'u16','upsert',1,'changes[0]@216','changes[0]@216',1039.0,1039.0,1040.0,1040.0,0);
INSERT INTO "changes" VALUES(1,'u17','upsert',1,'changes[0]@217','changes[0]@217',1039.0,1039.0,1040.0,1040.0,0);
INSERT INTO "changes" VALUES(1,'u18','upsert',1,'changes[0]@218','changes[0]@218',1039.0,1039.0,1040.0,1040.0,0);
INSERT INTO "changes" VALUES(1,'u19','upsert',1,'changes[0]@219','changes[0]@219',1039.0,1039.0,1040.0,1040.0,0);
INSERT INTO "changes" VALUES(1,'u2','upsert',2,'changes[0]@202','changes[0]@2',1009.0,1039.0,1040.0,1045.0,0);
INSERT INTO "changes" VALUES(1,'u3','upsert',2,'changes[0]@203','changes[0]@3',1009.0,1039.0,1040.0,1045.0,0);
INSERT INTO "changes" VALUES(1,'u4','upsert',2,'changes[0]@204','changes[0]@4',1009.0,1039.0,1040.0,1045.0,0);
INSERT INTO "changes" VALUES(1,'u5','upsert',1,'changes[0]@205','changes[0]@205',1039.0,1039.0,1040.0,1040.0,0);
INSERT INTO "changes" VALUES(1,'u6','upsert',1,'changes[0]@206','changes[0]@206',1039.0,1039.0,1040.0,1040.0,0);
INSERT INTO "changes" VALUES(1,'u7','upsert',1,'changes[0]@207','changes[0]@207',1039.0,1039.0,1040.0,1040.0,0);
INSERT INTO "changes" VALUES(1,'u8','upsert',1,'changes[0]@208','changes[0]@208',1039.0,1039.0,1040.0,1040.0,0);
INSERT INTO "changes" VALUES(1,'u9','upsert',1,'changes[0]@209','changes[0]@209',1039.0,1039.0,1040.0,1040.0,0);
INSERT INTO "changes" VALUES(2,'u100','upsert',1,'changes[0]@224','changes[0]@224',1059.0,1059.0,1060.0,1060.0,0);
INSERT INTO "changes" VALUES(2,'u101','upsert',1,'changes[0]@225','changes[0]@225',1059.0,1059.0,1060.0,1060.0,0);
INSERT INTO "changes" VALUES(2,'u102','upsert',1,'changes[0]@226','changes[0]@226',1059.0,1059.0,1060.0,1060.0,0);
INSERT INTO "changes" VALUES(2,'u103','upsert',1,'changes[0]@227','changes[0]@227',1059.0,1059.0,1060.0,1060.0,0);
INSERT INTO "changes" VALUES(2,'u104','upsert',1,'changes[0]@228','changes[0]@228',1059.0,1059.0,1060.0,1060.0,0);
INSERT INTO "changes" VALUES(2,'u105','upsert',1,'changes[0]@229','changes[0]@229',1059.0,1059.0,1060.0,1060.0,0);
INSERT INTO "changes" VALUES(2,'u106','upsert',1,'changes[0]@230','changes[0]@230',1059.0,1059.0,1060.0,1060.0,0);
INSERT INTO "changes" VALUES(2,'u107','upsert',1,'changes[0]@231','changes[0]@231',1059.0,1059.0,1060.0,1060.0,0);
INSERT INTO "changes" VALUES(2,'u108','upsert',1,'changes[0]@232','changes[0]@232',1059.0,1059.0,1060.0,1060.0,0);
INSERT INTO "changes" VALUES(2,'u109','upsert',1,'changes[0]@233','changes[0]@233',1059.0,1059.0,1060.0,1060.0,0);
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
	result JSON, 
	accept JSON, 
	settled BOOLEAN DEFAULT 0 NOT NULL, 
	known_labels INTEGER, 
	last_error VARCHAR, 
	PRIMARY KEY (number), 
	UNIQUE (cycle_id)
);
INSERT INTO "cycles" VALUES(1,'c000001-11fcc2f7','bootstrap','nobody has trained yet','registered',NULL,NULL,'{"offsets": {"changes": {"0": [0, 200]}}, "replayed": {}, "gaps": {}, "changed_users": 200, "unchanged_users": 0, "changed_labels": 0, "unchanged_labels": 0, "first_event_at": "1970-01-01T00:16:49Z", "last_event_at": "1970-01-01T00:16:49Z"}',0,1020.0,1030.0,200,'{"cycle_id": "c000001-11fcc2f7", "outcome": "registered", "reason": "first version: accuracy 0.9986, precision 1.0000, recall@10 1.0000, all above their floors", "base_version": null, "version": 1, "known_users": 200, "fence": 1011, "absent": false, "read": {"accepted": 200, "deleted": 0, "refused": {}, "refused_total": 0, "keyless": 0, "whole": true}, "labels": null, "probe": null, "pairs": {"users": 200, "before": 0, "after": 1478, "added": 1478, "removed": 0, "rows_mined": 200, "rows_refilled": 0}, "guard": {"findings": [{"name": "refused_share", "figure": 0.0, "limit": 0.1, "of": 200, "detail": null, "exceeded": false, "accepted": false}, {"name": "similar_share", "figure": 0.07844221105527638, "limit": 0.5, "of": 200, "detail": null, "exceeded": false, "accepted": false}], "asks_full": null}, "fit": {"epochs": 8, "best_epoch": 0, "users": 135, "replayed_users": 0, "labelled_pairs": 520192, "loss": 0.0004218173708068207, "train_accuracy": 0.9999998956918716, "dev_accuracy": 1.0, "warm_start": false, "seed": 1818801629, "learned": true, "rate": 0.001, "candidates": 1, "afresh": false, "objective": "similarity", "labels": null, "replayed_labels": null, "dev_auc": null, "dev_recall_at_50": null, "note": null}, "gate": {"outcome": "passed", "reason": "first version: accuracy 0.9986, precision 1.0000, recall@10 1.0000, all above their floors", "users": 47, "pairs": 1412, "challenger": {"accuracy": 0.9985835694050991, "auc": 1.0, "precision": 1.0, "recall": 0.9971671388101983, "f1": 0.9985815602836879, "average_precision": 0.9986904869716553, "recall_at_10": 1.0, "calibration_error": 8.642663671463107e-06, "outcome_auc": null, "earlier_auc": null, "recall_at_50": null, "outcome_calibration_error": null}, "champion": null, "anchor": null, "judged_by": "similarity", "labels": 0, "difference": null, "lower_bound": null, "comparisons": [], "notes": [], "needed_users": null, "labels_kept": null, "fresh": null, "asks_full": null, "slices": {"new": {"users": 47, "pairs": 1412, "challenger": {"accuracy": 0.9985835694050991, "auc": 1.0, "precision": 1.0, "recall": 0.9971671388101983, "f1": 0.9985815602836879, "average_precision": 0.9986904869716553, "recall_at_10": 1.0, "calibration_error": 8.642663671463107e-06, "outcome_auc": null, "earlier_auc": null, "recall_at_50": null, "outcome_calibration_error": null}, "champion": null}, "changed": {"users": 0, "pairs": 0, "challenger": null, "champion": null}, "unchanged": {"users": 0, "pairs": 0, "challenger": null, "champion": null}}}, "way_out": null, "asks_full": null, "seconds": {"read": 0.02, "embed": 0.115, "pair": 0.416, "base": 0.623, "probe": 0.0, "fit": 5.884, "gate": 0.313, "package": 0.887, "register": 0.079}}','[]',1,NULL,NULL);
INSERT INTO "cycles" VALUES(2,'c000002-363c369f','incremental','enough changed','running',1,1,'{"offsets": {"changes": {"0": [200, 224], "1": [0, 5]}}, "replayed": {"changes": {"0": [[0, 5]]}}, "gaps": {"changes": {"1": [[0, 5]]}}, "changed_users": 20, "unchanged_users": 0, "changed_labels": 1, "unchanged_labels": 0, "first_event_at": "1970-01-01T00:16:49Z", "last_event_at": "1970-01-01T00:17:19Z"}',1,1050.0,NULL,NULL,NULL,'["lost_share"]',0,NULL,'the trainer ended with code -9 and no result');
CREATE TABLE dead_letters (
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
INSERT INTO "dead_letters" VALUES(1,'changes',0,220,1039.0,X'75313530',X'7B','[["h", "/g=="], ["h", null]]','decode','no JSON',1040.0,'open',NULL,NULL,0,'9acfbd44cc22b746c91999f5e7d029b8',1039000,'topic-id-1');
INSERT INTO "dead_letters" VALUES(2,'changes',0,221,1039.0,NULL,NULL,'[]','decode','not UTF-8',1040.0,'discarded',1041.0,'a test of the producer',0,'b95174683de731f7f151a781ce8a93be',1039000,'topic-id-1');
INSERT INTO "dead_letters" VALUES(3,'changes',1,0,1042.0,NULL,NULL,'[]','gap','retention took it',1042.0,'open',NULL,NULL,0,'8a3cc643b45d8edddd1bf55cc285f7b3',1042000,'topic-id-1');
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
INSERT INTO "gaps" VALUES(1,'changes',1,0,5,1042.0,'retention took it');
CREATE TABLE identity (
	ledger_id VARCHAR NOT NULL, 
	PRIMARY KEY (ledger_id)
);
INSERT INTO "identity" VALUES('90b4aad47178496590a117e4fe9cdc9e');
CREATE TABLE ignored (
	topic VARCHAR NOT NULL, 
	partition INTEGER NOT NULL, 
	reason VARCHAR NOT NULL, 
	events BIGINT NOT NULL, 
	PRIMARY KEY (topic, partition, reason)
);
INSERT INTO "ignored" VALUES('changes',0,'of another feature group',2);
CREATE TABLE instances (
	instance_id VARCHAR NOT NULL, 
	pid INTEGER NOT NULL, 
	host VARCHAR NOT NULL, 
	state JSON NOT NULL, 
	seen_at FLOAT NOT NULL, 
	name VARCHAR, 
	beats BIGINT DEFAULT '0' NOT NULL, 
	heard_at FLOAT, 
	PRIMARY KEY (instance_id)
);
CREATE TABLE label_changes (
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
	tried BOOLEAN NOT NULL, 
	PRIMARY KEY (portion, pair)
);
INSERT INTO "label_changes" VALUES(1,'["u1","u2"]','upsert',1,'changes[0]@222','changes[0]@222',1039.0,1039.0,1040.0,1040.0,0);
CREATE TABLE learned (
	user_id VARCHAR NOT NULL, 
	received_at FLOAT NOT NULL, 
	PRIMARY KEY (user_id)
);
INSERT INTO "learned" VALUES('u0',1010.0);
INSERT INTO "learned" VALUES('u1',1010.0);
INSERT INTO "learned" VALUES('u10',1010.0);
INSERT INTO "learned" VALUES('u100',1010.0);
INSERT INTO "learned" VALUES('u101',1010.0);
INSERT INTO "learned" VALUES('u102',1010.0);
INSERT INTO "learned" VALUES('u103',1010.0);
INSERT INTO "learned" VALUES('u104',1010.0);
INSERT INTO "learned" VALUES('u105',1010.0);
INSERT INTO "learned" VALUES('u106',1010.0);
INSERT INTO "learned" VALUES('u107',1010.0);
INSERT INTO "learned" VALUES('u108',1010.0);
INSERT INTO "learned" VALUES('u109',1010.0);
INSERT INTO "learned" VALUES('u11',1010.0);
INSERT INTO "learned" VALUES('u110',1010.0);
INSERT INTO "learned" VALUES('u111',1010.0);
INSERT INTO "learned" VALUES('u112',1010.0);
INSERT INTO "learned" VALUES('u113',1010.0);
INSERT INTO "learned" VALUES('u114',1010.0);
INSERT INTO "learned" VALUES('u115',1010.0);
INSERT INTO "learned" VALUES('u116',1010.0);
INSERT INTO "learned" VALUES('u117',1010.0);
INSERT INTO "learned" VALUES('u118',1010.0);
INSERT INTO "learned" VALUES('u119',1010.0);
INSERT INTO "learned" VALUES('u12',1010.0);
INSERT INTO "learned" VALUES('u120',1010.0);
INSERT INTO "learned" VALUES('u121',1010.0);
INSERT INTO "learned" VALUES('u122',1010.0);
INSERT INTO "learned" VALUES('u123',1010.0);
INSERT INTO "learned" VALUES('u124',1010.0);
INSERT INTO "learned" VALUES('u125',1010.0);
INSERT INTO "learned" VALUES('u126',1010.0);
INSERT INTO "learned" VALUES('u127',1010.0);
INSERT INTO "learned" VALUES('u128',1010.0);
INSERT INTO "learned" VALUES('u129',1010.0);
INSERT INTO "learned" VALUES('u13',1010.0);
INSERT INTO "learned" VALUES('u130',1010.0);
INSERT INTO "learned" VALUES('u131',1010.0);
INSERT INTO "learned" VALUES('u132',1010.0);
INSERT INTO "learned" VALUES('u133',1010.0);
INSERT INTO "learned" VALUES('u134',1010.0);
INSERT INTO "learned" VALUES('u135',1010.0);
INSERT INTO "learned" VALUES('u136',1010.0);
INSERT INTO "learned" VALUES('u137',1010.0);
INSERT INTO "learned" VALUES('u138',1010.0);
INSERT INTO "learned" VALUES('u139',1010.0);
INSERT INTO "learned" VALUES('u14',1010.0);
INSERT INTO "learned" VALUES('u140',1010.0);
INSERT INTO "learned" VALUES('u141',1010.0);
INSERT INTO "learned" VALUES('u142',1010.0);
INSERT INTO "learned" VALUES('u143',1010.0);
INSERT INTO "learned" VALUES('u144',1010.0);
INSERT INTO "learned" VALUES('u145',1010.0);
INSERT INTO "learned" VALUES('u146',1010.0);
INSERT INTO "learned" VALUES('u147',1010.0);
INSERT INTO "learned" VALUES('u148',1010.0);
INSERT INTO "learned" VALUES('u149',1010.0);
INSERT INTO "learned" VALUES('u15',1010.0);
INSERT INTO "learned" VALUES('u150',1010.0);
INSERT INTO "learned" VALUES('u151',1010.0);
INSERT INTO "learned" VALUES('u152',1010.0);
INSERT INTO "learned" VALUES('u153',1010.0);
INSERT INTO "learned" VALUES('u154',1010.0);
INSERT INTO "learned" VALUES('u155',1010.0);
INSERT INTO "learned" VALUES('u156',1010.0);
INSERT INTO "learned" VALUES('u157',1010.0);
INSERT INTO "learned" VALUES('u158',1010.0);
INSERT INTO "learned" VALUES('u159',1010.0);
INSERT INTO "learned" VALUES('u16',1010.0);
INSERT INTO "learned" VALUES('u160',1010.0);
INSERT INTO "learned" VALUES('u161',1010.0);
INSERT INTO "learned" VALUES('u162',1010.0);
INSERT INTO "learned" VALUES('u163',1010.0);
INSERT INTO "learned" VALUES('u164',1010.0);
INSERT INTO "learned" VALUES('u165',1010.0);
INSERT INTO "learned" VALUES('u166',1010.0);
INSERT INTO "learned" VALUES('u167',1010.0);
INSERT INTO "learned" VALUES('u168',1010.0);
INSERT INTO "learned" VALUES('u169',1010.0);
INSERT INTO "learned" VALUES('u17',1010.0);
INSERT INTO "learned" VALUES('u170',1010.0);
INSERT INTO "learned" VALUES('u171',1010.0);
INSERT INTO "learned" VALUES('u172',1010.0);
INSERT INTO "learned" VALUES('u173',1010.0);
INSERT INTO "learned" VALUES('u174',1010.0);
INSERT INTO "learned" VALUES('u175',1010.0);
INSERT INTO "learned" VALUES('u176',1010.0);
INSERT INTO "learned" VALUES('u177',1010.0);
INSERT INTO "learned" VALUES('u178',1010.0);
INSERT INTO "learned" VALUES('u179',1010.0);
INSERT INTO "learned" VALUES('u18',1010.0);
INSERT INTO "learned" VALUES('u180',1010.0);
INSERT INTO "learned" VALUES('u181',1010.0);
INSERT INTO "learned" VALUES('u182',1010.0);
INSERT INTO "learned" VALUES('u183',1010.0);
INSERT INTO "learned" VALUES('u184',1010.0);
INSERT INTO "learned" VALUES('u185',1010.0);
INSERT INTO "learned" VALUES('u186',1010.0);
INSERT INTO "learned" VALUES('u187',1010.0);
INSERT INTO "learned" VALUES('u188',1010.0);
INSERT INTO "learned" VALUES('u189',1010.0);
INSERT INTO "learned" VALUES('u19',1010.0);
INSERT INTO "learned" VALUES('u190',1010.0);
INSERT INTO "learned" VALUES('u191',1010.0);
INSERT INTO "learned" VALUES('u192',1010.0);
INSERT INTO "learned" VALUES('u193',1010.0);
INSERT INTO "learned" VALUES('u194',1010.0);
INSERT INTO "learned" VALUES('u195',1010.0);
INSERT INTO "learned" VALUES('u196',1010.0);
INSERT INTO "learned" VALUES('u197',1010.0);
INSERT INTO "learned" VALUES('u198',1010.0);
INSERT INTO "learned" VALUES('u199',1010.0);
INSERT INTO "learned" VALUES('u2',1010.0);
INSERT INTO "learned" VALUES('u20',1010.0);
INSERT INTO "learned" VALUES('u21',1010.0);
INSERT INTO "learned" VALUES('u22',1010.0);
INSERT INTO "learned" VALUES('u23',1010.0);
INSERT INTO "learned" VALUES('u24',1010.0);
INSERT INTO "learned" VALUES('u25',1010.0);
INSERT INTO "learned" VALUES('u26',1010.0);
INSERT INTO "learned" VALUES('u27',1010.0);
INSERT INTO "learned" VALUES('u28',1010.0);
INSERT INTO "learned" VALUES('u29',1010.0);
INSERT INTO "learned" VALUES('u3',1010.0);
INSERT INTO "learned" VALUES('u30',1010.0);
INSERT INTO "learned" VALUES('u31',1010.0);
INSERT INTO "learned" VALUES('u32',1010.0);
INSERT INTO "learned" VALUES('u33',1010.0);
INSERT INTO "learned" VALUES('u34',1010.0);
INSERT INTO "learned" VALUES('u35',1010.0);
INSERT INTO "learned" VALUES('u36',1010.0);
INSERT INTO "learned" VALUES('u37',1010.0);
INSERT INTO "learned" VALUES('u38',1010.0);
INSERT INTO "learned" VALUES('u39',1010.0);
INSERT INTO "learned" VALUES('u4',1010.0);
INSERT INTO "learned" VALUES('u40',1010.0);
INSERT INTO "learned" VALUES('u41',1010.0);
INSERT INTO "learned" VALUES('u42',1010.0);
INSERT INTO "learned" VALUES('u43',1010.0);
INSERT INTO "learned" VALUES('u44',1010.0);
INSERT INTO "learned" VALUES('u45',1010.0);
INSERT INTO "learned" VALUES('u46',1010.0);
INSERT INTO "learned" VALUES('u47',1010.0);
INSERT INTO "learned" VALUES('u48',1010.0);
INSERT INTO "learned" VALUES('u49',1010.0);
INSERT INTO "learned" VALUES('u5',1010.0);
INSERT INTO "learned" VALUES('u50',1010.0);
INSERT INTO "learned" VALUES('u51',1010.0);
INSERT INTO "learned" VALUES('u52',1010.0);
INSERT INTO "learned" VALUES('u53',1010.0);
INSERT INTO "learned" VALUES('u54',1010.0);
INSERT INTO "learned" VALUES('u55',1010.0);
INSERT INTO "learned" VALUES('u56',1010.0);
INSERT INTO "learned" VALUES('u57',1010.0);
INSERT INTO "learned" VALUES('u58',1010.0);
INSERT INTO "learned" VALUES('u59',1010.0);
INSERT INTO "learned" VALUES('u6',1010.0);
INSERT INTO "learned" VALUES('u60',1010.0);
INSERT INTO "learned" VALUES('u61',1010.0);
INSERT INTO "learned" VALUES('u62',1010.0);
INSERT INTO "learned" VALUES('u63',1010.0);
INSERT INTO "learned" VALUES('u64',1010.0);
INSERT INTO "learned" VALUES('u65',1010.0);
INSERT INTO "learned" VALUES('u66',1010.0);
INSERT INTO "learned" VALUES('u67',1010.0);
INSERT INTO "learned" VALUES('u68',1010.0);
INSERT INTO "learned" VALUES('u69',1010.0);
INSERT INTO "learned" VALUES('u7',1010.0);
INSERT INTO "learned" VALUES('u70',1010.0);
INSERT INTO "learned" VALUES('u71',1010.0);
INSERT INTO "learned" VALUES('u72',1010.0);
INSERT INTO "learned" VALUES('u73',1010.0);
INSERT INTO "learned" VALUES('u74',1010.0);
INSERT INTO "learned" VALUES('u75',1010.0);
INSERT INTO "learned" VALUES('u76',1010.0);
INSERT INTO "learned" VALUES('u77',1010.0);
INSERT INTO "learned" VALUES('u78',1010.0);
INSERT INTO "learned" VALUES('u79',1010.0);
INSERT INTO "learned" VALUES('u8',1010.0);
INSERT INTO "learned" VALUES('u80',1010.0);
INSERT INTO "learned" VALUES('u81',1010.0);
INSERT INTO "learned" VALUES('u82',1010.0);
INSERT INTO "learned" VALUES('u83',1010.0);
INSERT INTO "learned" VALUES('u84',1010.0);
INSERT INTO "learned" VALUES('u85',1010.0);
INSERT INTO "learned" VALUES('u86',1010.0);
INSERT INTO "learned" VALUES('u87',1010.0);
INSERT INTO "learned" VALUES('u88',1010.0);
INSERT INTO "learned" VALUES('u89',1010.0);
INSERT INTO "learned" VALUES('u9',1010.0);
INSERT INTO "learned" VALUES('u90',1010.0);
INSERT INTO "learned" VALUES('u91',1010.0);
INSERT INTO "learned" VALUES('u92',1010.0);
INSERT INTO "learned" VALUES('u93',1010.0);
INSERT INTO "learned" VALUES('u94',1010.0);
INSERT INTO "learned" VALUES('u95',1010.0);
INSERT INTO "learned" VALUES('u96',1010.0);
INSERT INTO "learned" VALUES('u97',1010.0);
INSERT INTO "learned" VALUES('u98',1010.0);
INSERT INTO "learned" VALUES('u99',1010.0);
CREATE TABLE learned_labels (
	pair VARCHAR NOT NULL, 
	received_at FLOAT NOT NULL, 
	PRIMARY KEY (pair)
);
CREATE TABLE leases (
	name VARCHAR NOT NULL, 
	holder VARCHAR NOT NULL, 
	token BIGINT NOT NULL, 
	renewals BIGINT NOT NULL, 
	renewed_at FLOAT NOT NULL, 
	holder_name VARCHAR, 
	PRIMARY KEY (name)
);
INSERT INTO "leases" VALUES('cycles','we',1011,4,1011.0,'');
CREATE TABLE offsets (
	topic VARCHAR NOT NULL, 
	partition INTEGER NOT NULL, 
	next_offset BIGINT NOT NULL, 
	settled_offset BIGINT NOT NULL, 
	events BIGINT NOT NULL, 
	ignored BIGINT NOT NULL, 
	updated_at FLOAT NOT NULL, 
	topic_id VARCHAR, 
	leader_epoch INTEGER, 
	PRIMARY KEY (topic, partition)
);
INSERT INTO "offsets" VALUES('changes',0,234,200,234,2,1060.0,'topic-id-1',NULL);
INSERT INTO "offsets" VALUES('changes',1,5,0,0,0,1042.0,'topic-id-1',NULL);
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
INSERT INTO "portions" VALUES('users',1,'c000002-363c369f',20,20,1009.0,1039.0,1040.0,1045.0);
INSERT INTO "portions" VALUES('labels',1,'c000002-363c369f',1,1,1039.0,1039.0,1040.0,1040.0);
INSERT INTO "portions" VALUES('users',2,'',10,10,1059.0,1059.0,1060.0,1060.0);
CREATE TABLE probes (
	number INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	version INTEGER, 
	changes INTEGER NOT NULL, 
	regret FLOAT, 
	error FLOAT, 
	told VARCHAR NOT NULL, 
	after_cycle INTEGER, 
	PRIMARY KEY (number)
);
CREATE TABLE promotions (
	number INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	reason VARCHAR NOT NULL, 
	PRIMARY KEY (number)
);
INSERT INTO "promotions" VALUES(1,1,1030.0,'first version: accuracy 0.9986, precision 1.0000, recall@10 1.0000, all above their floors');
CREATE TABLE refused_labels (
	pair VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	since FLOAT NOT NULL, 
	last_at FLOAT NOT NULL, 
	times BIGINT NOT NULL, 
	cycle_id VARCHAR NOT NULL, 
	PRIMARY KEY (pair)
);
CREATE TABLE refused_users (
	user_id VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	since FLOAT NOT NULL, 
	last_at FLOAT NOT NULL, 
	times BIGINT NOT NULL, 
	cycle_id VARCHAR NOT NULL, 
	PRIMARY KEY (user_id)
);
CREATE TABLE replays (
	number INTEGER NOT NULL, 
	ranges JSON NOT NULL, 
	events BIGINT NOT NULL, 
	users INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	cycle_id VARCHAR NOT NULL, 
	labels INTEGER DEFAULT '0' NOT NULL, 
	replay_id VARCHAR, 
	request INTEGER, 
	told JSON, 
	PRIMARY KEY (number)
);
INSERT INTO "replays" VALUES(1,'{"changes": {"0": [[0, 5]]}}',5,5,1045.0,'c000002-363c369f',0,'r1',3,'{"from": "1970-01-01T00:00:00+00:00"}');
CREATE TABLE schema_version (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "schema_version" VALUES(6);
CREATE TABLE versions (
	version INTEGER NOT NULL, 
	cycle_id VARCHAR NOT NULL, 
	registered_at FLOAT NOT NULL, 
	PRIMARY KEY (version), 
	UNIQUE (cycle_id)
);
INSERT INTO "versions" VALUES(1,'c000001-11fcc2f7',1030.0);
CREATE INDEX ix_learned_received_at ON learned (received_at);
CREATE INDEX ix_learned_labels_received_at ON learned_labels (received_at);
CREATE INDEX portions_of_a_cycle ON portions (cycle_id);
CREATE INDEX cycles_settled ON cycles (settled, number);
CREATE INDEX cycles_of_a_kind ON cycles (kind, number);
CREATE INDEX cycles_for_a_reason ON cycles (reason, kind, number);
CREATE INDEX cycles_of_a_state ON cycles (state, kind, number);
CREATE INDEX dead_letters_to_publish ON dead_letters (published, id);
CREATE INDEX dead_letters_of_a_status ON dead_letters (status, id);
CREATE INDEX asked_and_open ON asked (cycle_id);
CREATE UNIQUE INDEX replays_once ON replays (replay_id);
COMMIT;
