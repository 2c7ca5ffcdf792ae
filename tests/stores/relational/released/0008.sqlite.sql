BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0008');
CREATE TABLE attempts (
	subject TEXT NOT NULL, 
	failures BIGINT NOT NULL, 
	last_us BIGINT NOT NULL, 
	until_us BIGINT NOT NULL, 
	CONSTRAINT pk_attempts PRIMARY KEY (subject)
);
INSERT INTO "attempts" VALUES('user:x',7,1700000000000000,1700000000000030);
CREATE TABLE audit (
	number INTEGER NOT NULL, 
	at_us BIGINT NOT NULL, 
	actor TEXT NOT NULL, 
	origin TEXT NOT NULL, 
	action TEXT NOT NULL, 
	outcome TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	community TEXT, 
	"before" TEXT, 
	"after" TEXT, 
	previous TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	CONSTRAINT pk_audit PRIMARY KEY (number)
);
INSERT INTO "audit" VALUES(1,1700000000000000,'cli:root','host','user.create','done','user:wang',NULL,NULL,'{"communities":["xinjinglou"],"disabled":false,"display":"王工","name":"wang","outlets":[],"role":"manager"}','0000000000000000000000000000000000000000000000000000000000000000','a65a5af683e4247a5ba2764be070fc52ec6305e9f524502391672a4ae2c488e0');
CREATE TABLE blinds (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	start_us BIGINT NOT NULL, 
	end_us BIGINT, 
	recorded_us BIGINT NOT NULL, 
	revoked_us BIGINT, 
	device TEXT, 
	kind TEXT, 
	community TEXT, 
	cause TEXT NOT NULL
);
INSERT INTO "blinds" VALUES(1,1700000000000000,1700000000000009,1700000000000010,1700000000000020,NULL,NULL,'xinjinglou','断线 no connection');
CREATE TABLE communities (
	id TEXT NOT NULL, 
	name_zh TEXT NOT NULL, 
	name_en TEXT NOT NULL, 
	CONSTRAINT pk_communities PRIMARY KEY (id)
);
INSERT INTO "communities" VALUES('xinjinglou','新景楼','Xinjinglou');
INSERT INTO "communities" VALUES('yiminyuan','益民园','Yiminyuan');
CREATE TABLE counters (
	name TEXT NOT NULL, 
	value BIGINT NOT NULL, 
	CONSTRAINT pk_counters PRIMARY KEY (name)
);
INSERT INTO "counters" VALUES('registry',9);
INSERT INTO "counters" VALUES('coverage',0);
INSERT INTO "counters" VALUES('catalogue',1);
CREATE TABLE data_kinds (
	id TEXT NOT NULL, 
	recorded_us BIGINT NOT NULL, 
	since_us BIGINT NOT NULL, 
	says TEXT, 
	said_by TEXT NOT NULL, 
	CONSTRAINT pk_data_kinds PRIMARY KEY (id, recorded_us)
);
INSERT INTO "data_kinds" VALUES('gas_reading',1700000000000001,1700000000000000,'{"freshness_s":86400.0,"id":"gas_reading","masked":{},"name_en":"Gas","name_zh":"燃气","personal":false,"quiet":false,"schema":{},"sources":["gas_alarm"]}','cli:root');
CREATE TABLE deletions (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	what TEXT NOT NULL, 
	before_us BIGINT NOT NULL, 
	count BIGINT NOT NULL, 
	at_us BIGINT NOT NULL
);
INSERT INTO "deletions" VALUES(1,'messages',1700000000000000,5,1700000000000001);
CREATE TABLE device_credentials (
	device TEXT NOT NULL, 
	entry TEXT NOT NULL, 
	issued_us BIGINT NOT NULL, 
	generation BIGINT NOT NULL, 
	revoked_us BIGINT, 
	CONSTRAINT pk_device_credentials PRIMARY KEY (device)
);
INSERT INTO "device_credentials" VALUES('cam-1','$7$901$c2FsdA==$aGFzaA==',1700000000000000,2,1700000000000005);
CREATE TABLE devices (
	id TEXT NOT NULL, 
	community TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	name_zh TEXT NOT NULL, 
	name_en TEXT NOT NULL, 
	building TEXT NOT NULL, 
	location TEXT NOT NULL, 
	tags TEXT NOT NULL, 
	vendor TEXT NOT NULL, 
	model TEXT NOT NULL, 
	serial TEXT NOT NULL, 
	timeout_us BIGINT, 
	max_lateness_us BIGINT NOT NULL, 
	clock_untrusted BOOLEAN NOT NULL, 
	commissioned_us BIGINT, 
	retired_us BIGINT, 
	commissioned_recorded_us BIGINT, 
	retired_recorded_us BIGINT, since_us BIGINT, said_by TEXT, 
	CONSTRAINT pk_devices PRIMARY KEY (id), 
	CONSTRAINT fk_devices_community FOREIGN KEY(community) REFERENCES communities (id), 
	CONSTRAINT fk_devices_kind FOREIGN KEY(kind) REFERENCES kinds (id)
);
INSERT INTO "devices" VALUES('cam-1','xinjinglou','camera','大门摄像机','Gate camera','1 号楼','大门','["室外","gate"]','海康','DS-2CD','SN 0001',90500000,3600000000,1,1700000000000000,1700000000000010,1700000000000001,1700000000000011,1700000000000090,'user:wang');
CREATE TABLE discovered (
	device TEXT NOT NULL, 
	community TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	first_us BIGINT NOT NULL, 
	last_us BIGINT NOT NULL, 
	CONSTRAINT pk_discovered PRIMARY KEY (device, community, kind)
);
INSERT INTO "discovered" VALUES('new-1','xinjinglou','camera',1700000000000003,1700000000000003);
CREATE TABLE events (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	at_us BIGINT NOT NULL, 
	recorded_us BIGINT NOT NULL, 
	topic TEXT NOT NULL, 
	body TEXT NOT NULL, 
	"key" TEXT, 
	CONSTRAINT uq_events_topic_key UNIQUE (topic, "key")
);
INSERT INTO "events" VALUES(1,1700000000000000,1700000000000001,'transition','{"device":"cam-1","名":"门"}','cam-1/1');
CREATE TABLE incidents (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	community TEXT NOT NULL, 
	opened_us BIGINT NOT NULL, 
	first_us BIGINT NOT NULL, 
	start_us BIGINT NOT NULL, 
	devices BIGINT NOT NULL, 
	silent BIGINT NOT NULL, 
	"of" BIGINT NOT NULL, 
	ended_us BIGINT, 
	recorded_us BIGINT NOT NULL, 
	confirmed_us BIGINT, 
	confirmed_by TEXT, 
	confirm_reason TEXT, 
	approved_us BIGINT, 
	approved_by TEXT, 
	dismissed_us BIGINT, 
	dismissed_by TEXT, 
	dismiss_reason TEXT, 
	blind_id BIGINT, 
	CONSTRAINT fk_incidents_blind_id FOREIGN KEY(blind_id) REFERENCES blinds (id), 
	CONSTRAINT uq_incidents_community_opened_us UNIQUE (community, opened_us)
);
INSERT INTO "incidents" VALUES(1,'xinjinglou',1700000000000050,1700000000000001,1700000000000005,100,90,118,1700000000000070,1700000000000051,1700000000000060,'user:wang','断网',NULL,NULL,NULL,NULL,NULL,1);
CREATE TABLE invitations (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	digest TEXT NOT NULL, 
	user_id BIGINT, 
	created_us BIGINT NOT NULL, 
	expires_us BIGINT NOT NULL, 
	used_us BIGINT, 
	CONSTRAINT fk_invitations_user_id FOREIGN KEY(user_id) REFERENCES users (id), 
	CONSTRAINT uq_invitations_digest UNIQUE (digest)
);
INSERT INTO "invitations" VALUES(1,'5694d08a2e53ffcae0c3103e5ad6f6076abd960eb1f8a56577040bc1028f702b',1,1700000000000000,1700000000000009,NULL);
CREATE TABLE job_runs (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	due_us BIGINT NOT NULL, 
	started_us BIGINT NOT NULL, 
	finished_us BIGINT, 
	error TEXT
);
INSERT INTO "job_runs" VALUES(1,'minute',1700000000000000,1700000000000001,1700000000000002,'出错');
CREATE TABLE kinds (
	id TEXT NOT NULL, 
	name_zh TEXT NOT NULL, 
	name_en TEXT NOT NULL, 
	interval_us BIGINT, 
	timeout_us BIGINT, 
	CONSTRAINT pk_kinds PRIMARY KEY (id)
);
INSERT INTO "kinds" VALUES('camera','摄像机','Camera',60000000,180000000);
INSERT INTO "kinds" VALUES('gas_alarm','可燃气体报警器','Gas alarm',30000000,90000000);
CREATE TABLE life_changes (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	what TEXT NOT NULL, 
	device TEXT NOT NULL, 
	successor TEXT, 
	at_us BIGINT NOT NULL, 
	reason TEXT NOT NULL, 
	recorded_us BIGINT NOT NULL, 
	author TEXT NOT NULL, 
	known_us BIGINT, 
	approved_us BIGINT, 
	approved_by TEXT, 
	refused_us BIGINT, 
	refused_by TEXT, 
	refuse_reason TEXT, 
	cancelled_us BIGINT, 
	cancelled_by TEXT, 
	cancel_reason TEXT
);
INSERT INTO "life_changes" VALUES(1,'replace','cam-1','cam-2',1700000000000009,'到期',1700000000000010,'user:wang',1700000000000011,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE maintenance (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	start_us BIGINT NOT NULL, 
	end_us BIGINT, 
	recorded_us BIGINT NOT NULL, 
	cancelled_us BIGINT, 
	device TEXT, 
	kind TEXT, 
	community TEXT, 
	reason TEXT NOT NULL, 
	author TEXT NOT NULL
, building TEXT, tag TEXT, weekdays TEXT, begins_min INTEGER, ends_min INTEGER, zone TEXT, known_us BIGINT, approved_us BIGINT, approved_by TEXT, refused_us BIGINT, refused_by TEXT, refuse_reason TEXT, cancelled_by TEXT, cancel_reason TEXT);
INSERT INTO "maintenance" VALUES(1,1700000000000000,1700000000000060,1699999999999995,1700000000000030,'cam-1',NULL,NULL,'换电池','王工',NULL,NULL,NULL,NULL,NULL,NULL,1699999999999995,NULL,NULL,NULL,NULL,NULL,'王工','');
INSERT INTO "maintenance" VALUES(2,1700000000000000,1701000000000000,1700000000000007,NULL,NULL,'camera','xinjinglou','换灯','user:wang','1 号楼','室外','[1, 4]',1320,120,'Asia/Shanghai',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "maintenance" VALUES(3,1700000000000000,1701000000000000,1700000000000007,NULL,NULL,'camera','xinjinglou','换灯','user:wang','1 号楼','室外','[1, 4]',1320,120,'Asia/Shanghai',NULL,NULL,NULL,1700000000000008,'user:li','重复',NULL,NULL);
INSERT INTO "maintenance" VALUES(4,1700000000000000,1701000000000000,1700000000000007,1700000000000012,NULL,'camera','xinjinglou','换灯','user:wang','1 号楼','室外','[1, 4]',1320,120,'Asia/Shanghai',1700000000000009,1700000000000009,'user:li',NULL,NULL,NULL,'user:li','改期');
CREATE TABLE meta (
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_meta PRIMARY KEY ("key")
);
INSERT INTO "meta" VALUES('coverage_start_us','1699999999999999');
INSERT INTO "meta" VALUES('published_head','1 1e0481a8955900a0da78114dc4f97958887294f334862e8df8dec32579d12a35');
INSERT INTO "meta" VALUES('k','值');
INSERT INTO "meta" VALUES('audit_head','1 a65a5af683e4247a5ba2764be070fc52ec6305e9f524502391672a4ae2c488e0');
INSERT INTO "meta" VALUES('receipts_head','1 e610777721cc0f76c732fd17a162e420e3c8ce5a9524bce3999b52c9bed2afd9');
CREATE TABLE past_devices (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id TEXT NOT NULL, 
	community TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	name_zh TEXT NOT NULL, 
	name_en TEXT NOT NULL, 
	building TEXT NOT NULL, 
	location TEXT NOT NULL, 
	tags TEXT NOT NULL, 
	vendor TEXT NOT NULL, 
	model TEXT NOT NULL, 
	serial TEXT NOT NULL, 
	timeout_us BIGINT, 
	max_lateness_us BIGINT NOT NULL, 
	clock_untrusted BOOLEAN NOT NULL, 
	commissioned_us BIGINT, 
	retired_us BIGINT, 
	commissioned_recorded_us BIGINT, 
	retired_recorded_us BIGINT, 
	since_us BIGINT, 
	said_by TEXT, 
	until_us BIGINT NOT NULL
);
INSERT INTO "past_devices" VALUES(1,'cam-1','xinjinglou','camera','大门摄像机','Gate camera','1 号楼','大门','["室外","gate"]','海康','DS-2CD','SN 0001',90500000,3600000000,1,1700000000000000,1700000000000010,1700000000000001,1700000000000011,1700000000000000,NULL,1700000000000080);
INSERT INTO "past_devices" VALUES(2,'cam-1','xinjinglou','camera','大门摄像机','Gate camera','旧楼','大门','["室外","gate"]','海康','DS-2CD','SN 0001',90500000,3600000000,1,1700000000000000,1700000000000010,1700000000000001,1700000000000011,1700000000000080,'user:wang',1700000000000090);
CREATE TABLE planned (
	community TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	quantity BIGINT NOT NULL, 
	CONSTRAINT pk_planned PRIMARY KEY (community, kind), 
	CONSTRAINT fk_planned_community FOREIGN KEY(community) REFERENCES communities (id), 
	CONSTRAINT fk_planned_kind FOREIGN KEY(kind) REFERENCES kinds (id)
);
INSERT INTO "planned" VALUES('xinjinglou','camera',182);
CREATE TABLE "policies" (
	scope TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	since_us BIGINT NOT NULL, 
	timeout_us BIGINT, 
	max_lateness_us BIGINT, 
	clock_untrusted BOOLEAN, 
	community TEXT, 
	kind TEXT, 
	interval_us BIGINT, 
	recorded_us BIGINT NOT NULL, 
	CONSTRAINT pk_policies PRIMARY KEY (scope, subject, since_us, recorded_us)
);
INSERT INTO "policies" VALUES('kind','camera',-4611686018427387904,180000000,NULL,NULL,NULL,NULL,60000000,-4611686018427387904);
INSERT INTO "policies" VALUES('kind','gas_alarm',-4611686018427387904,90000000,NULL,NULL,NULL,NULL,30000000,-4611686018427387904);
INSERT INTO "policies" VALUES('device','cam-1',-4611686018427387904,90500000,3600000000,1,'xinjinglou','camera',NULL,-4611686018427387904);
INSERT INTO "policies" VALUES('community','yiminyuan',1700000000000000,40000000,NULL,NULL,NULL,NULL,NULL,1700000000000000);
CREATE TABLE "published" (
	name TEXT NOT NULL, 
	at_us BIGINT NOT NULL, 
	known_us BIGINT NOT NULL, 
	numerator BIGINT NOT NULL, 
	denominator BIGINT NOT NULL, 
	figures TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	sequence BIGINT NOT NULL, 
	inputs TEXT NOT NULL, 
	inputs_digest TEXT NOT NULL, 
	previous TEXT NOT NULL, 
	link TEXT NOT NULL, 
	CONSTRAINT pk_published PRIMARY KEY (name, at_us), 
	CONSTRAINT uq_published_sequence UNIQUE (sequence)
);
INSERT INTO "published" VALUES('online-rate',1700000000000000,1700000000000002,811,826,'{"states":{"online":811},"价":1.5}','658d08123d62353a76ec02c030181de4b5b73191da82d26b41a91ec5217d1049',1,'{"form":1,"证":"0"}','9ef5413e071286a56988b603da7ba517a5f1e8febed289e704d32cf3b565c421','0000000000000000000000000000000000000000000000000000000000000000','1e0481a8955900a0da78114dc4f97958887294f334862e8df8dec32579d12a35');
CREATE TABLE quarantine (
	number INTEGER NOT NULL, 
	observed_us BIGINT NOT NULL, 
	reason TEXT NOT NULL, 
	detail TEXT NOT NULL, 
	topic TEXT NOT NULL, 
	payload BLOB NOT NULL, 
	size BIGINT NOT NULL, 
	CONSTRAINT pk_quarantine PRIMARY KEY (number)
);
INSERT INTO "quarantine" VALUES(7,1700000000000000,'bad_json','第 1 列','community/x',X'00FF',2);
CREATE TABLE receipt_parts (
	receipt BIGINT NOT NULL, 
	data_kind TEXT NOT NULL, 
	community TEXT NOT NULL, 
	outlet TEXT NOT NULL, 
	acknowledged_us BIGINT NOT NULL, 
	recorded_us BIGINT NOT NULL, 
	count BIGINT NOT NULL, 
	first_us BIGINT, 
	last_us BIGINT, 
	quiet_from_us BIGINT, 
	quiet_until_us BIGINT, 
	CONSTRAINT pk_receipt_parts PRIMARY KEY (receipt, data_kind, community), 
	CONSTRAINT fk_receipt_parts_receipt FOREIGN KEY(receipt) REFERENCES receipts (number)
);
INSERT INTO "receipt_parts" VALUES(1,'gas_reading','xinjinglou','fire',1700000000000011,1700000000000012,2,1700000000000001,1700000000000003,NULL,NULL);
INSERT INTO "receipt_parts" VALUES(1,'perimeter_event','xinjinglou','fire',1700000000000011,1700000000000012,0,NULL,NULL,1700000000000000,1700000000000009);
CREATE TABLE receipts (
	number INTEGER NOT NULL, 
	outlet TEXT NOT NULL, 
	delivery TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	parts TEXT NOT NULL, 
	answer TEXT NOT NULL, 
	sent_us BIGINT NOT NULL, 
	acknowledged_us BIGINT NOT NULL, 
	recorded_us BIGINT NOT NULL, 
	previous TEXT NOT NULL, 
	link TEXT NOT NULL, 
	CONSTRAINT pk_receipts PRIMARY KEY (number), 
	CONSTRAINT uq_receipts_outlet_delivery UNIQUE (outlet, delivery)
);
INSERT INTO "receipts" VALUES(1,'fire','fire-1','0000000000000000000000000000000000000000000000000000000000000000','[{"data_kind":"gas_reading","community":"xinjinglou","count":2,"first_us":1700000000000001,"last_us":1700000000000003,"quiet_from_us":null,"quiet_until_us":null},{"data_kind":"perimeter_event","community":"xinjinglou","count":0,"first_us":null,"last_us":null,"quiet_from_us":1700000000000000,"quiet_until_us":1700000000000009}]','{"status":200,"答":"好"}',1700000000000010,1700000000000011,1700000000000012,'0000000000000000000000000000000000000000000000000000000000000000','e610777721cc0f76c732fd17a162e420e3c8ce5a9524bce3999b52c9bed2afd9');
CREATE TABLE runs (
	device TEXT NOT NULL, 
	start_us BIGINT NOT NULL, 
	recorded_us BIGINT NOT NULL, 
	since_us BIGINT NOT NULL, 
	end_us BIGINT, 
	evidence SMALLINT NOT NULL, 
	superseded_us BIGINT, 
	CONSTRAINT pk_runs PRIMARY KEY (device, start_us, recorded_us, since_us)
)
 WITHOUT ROWID

;
INSERT INTO "runs" VALUES('cam-1',1700000000000000,1700000000000001,1700000000000000,NULL,1,NULL);
CREATE TABLE sessions (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	digest TEXT NOT NULL, 
	user_id BIGINT NOT NULL, 
	created_us BIGINT NOT NULL, 
	last_us BIGINT NOT NULL, 
	expires_us BIGINT NOT NULL, 
	revoked_us BIGINT, 
	address TEXT NOT NULL, 
	agent TEXT NOT NULL, 
	CONSTRAINT fk_sessions_user_id FOREIGN KEY(user_id) REFERENCES users (id), 
	CONSTRAINT uq_sessions_digest UNIQUE (digest)
);
INSERT INTO "sessions" VALUES(1,'3f3af1ecebbd1410ab417ec0d27bbfcb5d340e177ae159b59fc8626c2dfd9175',1,1700000000000000,1700000000000000,1700000000000009,NULL,'192.0.2.7','Firefox');
CREATE TABLE tokens (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	digest TEXT NOT NULL, 
	hint TEXT NOT NULL, 
	label TEXT NOT NULL, 
	user_id BIGINT NOT NULL, 
	scopes TEXT NOT NULL, 
	communities TEXT, 
	created_us BIGINT NOT NULL, 
	expires_us BIGINT NOT NULL, 
	last_us BIGINT, 
	last_address TEXT, 
	revoked_us BIGINT, 
	CONSTRAINT fk_tokens_user_id FOREIGN KEY(user_id) REFERENCES users (id), 
	CONSTRAINT uq_tokens_digest UNIQUE (digest)
);
INSERT INTO "tokens" VALUES(1,'3c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0','pulse_abcd','脚本',1,'["devices:read"]',NULL,1700000000000000,1700000000000009,NULL,NULL,NULL);
CREATE TABLE users (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	display TEXT NOT NULL, 
	role TEXT NOT NULL, 
	communities TEXT, 
	outlets TEXT NOT NULL, 
	password_hash TEXT, 
	password_us BIGINT, 
	created_us BIGINT NOT NULL, 
	disabled_us BIGINT, 
	CONSTRAINT uq_users_name UNIQUE (name)
);
INSERT INTO "users" VALUES(1,'wang','王工','manager','["xinjinglou"]','[]','$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA',1700000000000000,1700000000000000,NULL);
CREATE TABLE watermark (
	id INTEGER NOT NULL, 
	through_us BIGINT NOT NULL, 
	listening BOOLEAN NOT NULL, 
	written_us BIGINT NOT NULL, 
	session TEXT NOT NULL, 
	CONSTRAINT pk_watermark PRIMARY KEY (id)
);
INSERT INTO "watermark" VALUES(1,1700000000000040,1,1700000000000041,'session');
CREATE INDEX ix_events_recorded_us ON events (recorded_us);
CREATE INDEX ix_job_runs_name_due_us ON job_runs (name, due_us);
CREATE INDEX ix_quarantine_observed_us ON quarantine (observed_us);
CREATE INDEX ix_quarantine_reason_number ON quarantine (reason, number);
CREATE INDEX ix_devices_community_kind ON devices (community, kind);
CREATE INDEX ix_devices_kind ON devices (kind);
CREATE INDEX ix_sessions_user_id ON sessions (user_id);
CREATE INDEX ix_tokens_user_id ON tokens (user_id);
CREATE INDEX ix_audit_at_us ON audit (at_us);
CREATE INDEX ix_audit_actor ON audit (actor);
CREATE INDEX ix_audit_subject ON audit (subject);
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is only appended to'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is only appended to'); END;
CREATE TRIGGER published_no_update BEFORE UPDATE ON published BEGIN SELECT RAISE(ABORT, 'published values are only appended to'); END;
CREATE TRIGGER published_no_delete BEFORE DELETE ON published BEGIN SELECT RAISE(ABORT, 'published values are only appended to'); END;
CREATE INDEX ix_past_devices_id ON past_devices (id);
CREATE INDEX ix_life_changes_device ON life_changes (device);
CREATE INDEX ix_life_changes_successor ON life_changes (successor);
CREATE INDEX ix_receipt_parts_acknowledged_us ON receipt_parts (acknowledged_us);
CREATE INDEX ix_receipt_parts_data_kind_community_acknowledged_us ON receipt_parts (data_kind, community, acknowledged_us);
CREATE INDEX ix_receipt_parts_data_kind_community_last_us ON receipt_parts (data_kind, community, last_us);
CREATE TRIGGER data_kinds_no_update BEFORE UPDATE ON data_kinds BEGIN SELECT RAISE(ABORT, 'the catalogue: only appended to'); END;
CREATE TRIGGER data_kinds_no_delete BEFORE DELETE ON data_kinds BEGIN SELECT RAISE(ABORT, 'the catalogue: only appended to'); END;
CREATE TRIGGER receipts_no_update BEFORE UPDATE ON receipts BEGIN SELECT RAISE(ABORT, 'receipts: only appended to'); END;
CREATE TRIGGER receipts_no_delete BEFORE DELETE ON receipts BEGIN SELECT RAISE(ABORT, 'receipts: only appended to'); END;
CREATE TRIGGER receipt_parts_no_update BEFORE UPDATE ON receipt_parts BEGIN SELECT RAISE(ABORT, 'receipts: only appended to'); END;
CREATE TRIGGER receipt_parts_no_delete BEFORE DELETE ON receipt_parts BEGIN SELECT RAISE(ABORT, 'receipts: only appended to'); END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('blinds',1);
INSERT INTO "sqlite_sequence" VALUES('maintenance',4);
INSERT INTO "sqlite_sequence" VALUES('events',1);
INSERT INTO "sqlite_sequence" VALUES('job_runs',1);
INSERT INTO "sqlite_sequence" VALUES('deletions',1);
INSERT INTO "sqlite_sequence" VALUES('incidents',1);
INSERT INTO "sqlite_sequence" VALUES('users',1);
INSERT INTO "sqlite_sequence" VALUES('sessions',1);
INSERT INTO "sqlite_sequence" VALUES('tokens',1);
INSERT INTO "sqlite_sequence" VALUES('invitations',1);
INSERT INTO "sqlite_sequence" VALUES('life_changes',1);
INSERT INTO "sqlite_sequence" VALUES('past_devices',2);
COMMIT;
