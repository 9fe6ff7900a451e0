BEGIN TRANSACTION;
CREATE TABLE epochs (
	trial_key VARCHAR(64) NOT NULL, 
	epoch INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	wall_s DOUBLE NOT NULL, 
	metrics JSON NOT NULL, 
	PRIMARY KEY (trial_key, epoch), 
	FOREIGN KEY(trial_key) REFERENCES trials ("key")
);
INSERT INTO "epochs" VALUES('a6b413291dc0fd8450988bde7f81146639ed5c18f33c837758c4bae587653b86',1,1,0.1,'{"mse": 0.5}');
INSERT INTO "epochs" VALUES('a6b413291dc0fd8450988bde7f81146639ed5c18f33c837758c4bae587653b86',2,1,0.2,'{"mse": 0.25}');
CREATE TABLE outbox (
	id INTEGER NOT NULL, 
	sweep VARCHAR(100) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	trial_key VARCHAR(64), 
	payload JSON NOT NULL, 
	delivered_at DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY(sweep) REFERENCES sweeps (name), 
	FOREIGN KEY(trial_key) REFERENCES trials ("key")
);
INSERT INTO "outbox" VALUES(1,'one','sweep_planned',NULL,'{}',NULL);
INSERT INTO "outbox" VALUES(2,'one','trial_finished','a6b413291dc0fd8450988bde7f81146639ed5c18f33c837758c4bae587653b86','{}',NULL);
CREATE TABLE planned (
	sweep VARCHAR(100) NOT NULL, 
	position INTEGER NOT NULL, 
	trial_key VARCHAR(64) NOT NULL, 
	draw INTEGER NOT NULL, 
	replicate INTEGER NOT NULL, 
	reused BOOLEAN NOT NULL, 
	PRIMARY KEY (sweep, position), 
	FOREIGN KEY(sweep) REFERENCES sweeps (name), 
	FOREIGN KEY(trial_key) REFERENCES trials ("key")
);
INSERT INTO "planned" VALUES('one',0,'a6b413291dc0fd8450988bde7f81146639ed5c18f33c837758c4bae587653b86',0,0,0);
INSERT INTO "planned" VALUES('one',1,'e2d5bc1d82bc8435434b862e5efc920212ebcb9b7457256ec739c9d8faa9825d',1,0,0);
CREATE TABLE rnnbench_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT rnnbench_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "rnnbench_version" VALUES('0001');
CREATE TABLE sweeps (
	name VARCHAR(100) NOT NULL, 
	path TEXT NOT NULL, 
	text TEXT NOT NULL, 
	settings JSON NOT NULL, 
	environment JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	session_s DOUBLE NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "sweeps" VALUES('one','one.yaml','task: adding
','{"name": "one"}','{"python": "3"}','2026-01-02 03:04:05.000000',NULL,0.0);
CREATE TABLE trials (
	"key" VARCHAR(64) NOT NULL, 
	group_key VARCHAR(64) NOT NULL, 
	spec JSON NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	attempts INTEGER NOT NULL, 
	best DOUBLE, 
	best_epoch INTEGER, 
	last DOUBLE, 
	wall_s DOUBLE, 
	outcome JSON NOT NULL, 
	error TEXT, 
	category VARCHAR(32), 
	started_at DATETIME, 
	ended_at DATETIME, 
	test_opened_at DATETIME, 
	PRIMARY KEY ("key")
);
INSERT INTO "trials" VALUES('a6b413291dc0fd8450988bde7f81146639ed5c18f33c837758c4bae587653b86','beef2a71d416acb9333076121ca3de43d50f526f09b6b531c4927c96da3bf91d','{"stage": "search", "task": "adding", "task_version": 1, "data": "generated", "data_fingerprint": "f", "cell": "lstm", "cell_version": 1, "parameters": {"optimizer.lr": 0.01}, "seed": 0, "budget": {"max_epochs": 10, "patience": null, "max_seconds": null}, "loop_version": 1, "draw": 0, "replicate": 0}','completed',1,0.25,2,0.25,1.5,'{"metrics": {"mse": 0.25}}',NULL,NULL,'2026-01-02 03:04:05.000000','2026-01-02 03:04:05.000000',NULL);
INSERT INTO "trials" VALUES('e2d5bc1d82bc8435434b862e5efc920212ebcb9b7457256ec739c9d8faa9825d','beef2a71d416acb9333076121ca3de43d50f526f09b6b531c4927c96da3bf91d','{"stage": "search", "task": "adding", "task_version": 1, "data": "generated", "data_fingerprint": "f", "cell": "lstm", "cell_version": 1, "parameters": {"optimizer.lr": 0.01}, "seed": 1, "budget": {"max_epochs": 10, "patience": null, "max_seconds": null}, "loop_version": 1, "draw": 1, "replicate": 0}','pending',0,NULL,NULL,NULL,NULL,'{}',NULL,NULL,NULL,NULL,NULL);
CREATE UNIQUE INDEX planned_once ON planned (sweep, trial_key);
CREATE INDEX planned_trial ON planned (trial_key);
CREATE INDEX outbox_waiting ON outbox (delivered_at, id);
COMMIT;
