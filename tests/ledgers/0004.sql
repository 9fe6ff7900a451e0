BEGIN TRANSACTION;
CREATE TABLE attempts (
	trial_key VARCHAR(64) NOT NULL, 
	attempt INTEGER NOT NULL, 
	sweep VARCHAR(100) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	category VARCHAR(32), 
	error TEXT, 
	wall_s DOUBLE, 
	started_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	PRIMARY KEY (trial_key, attempt), 
	FOREIGN KEY(trial_key) REFERENCES trials ("key")
);
INSERT INTO "attempts" VALUES('26641a17813ce9ba345cd9e7b1aac648a2c8eb477cfd13aad1efaa4235e564e7',1,'one','paused',NULL,NULL,0.1,'2026-11-23 12:00:02.000000','2026-11-23 12:00:03.000000');
INSERT INTO "attempts" VALUES('26641a17813ce9ba345cd9e7b1aac648a2c8eb477cfd13aad1efaa4235e564e7',2,'one','completed',NULL,NULL,0.2,'2026-11-23 12:00:05.000000','2026-11-23 12:00:06.000000');
CREATE TABLE decisions (
	id INTEGER NOT NULL, 
	sweep VARCHAR(100) NOT NULL, 
	trial_key VARCHAR(64) NOT NULL, 
	rung INTEGER NOT NULL, 
	verdict VARCHAR(16) NOT NULL, 
	evidence JSON NOT NULL, 
	decided_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(sweep) REFERENCES sweeps (name), 
	FOREIGN KEY(trial_key) REFERENCES trials ("key")
);
INSERT INTO "decisions" VALUES(1,'one','26641a17813ce9ba345cd9e7b1aac648a2c8eb477cfd13aad1efaa4235e564e7',1,'promoted','{"cohort": 0, "group": "5fa84a8749da37dabf35997e354f9e24ca3257af4dce60352f6d4cf9c34c45f9", "values": {"5fa84a8749da37dabf35997e354f9e24ca3257af4dce60352f6d4cf9c34c45f9": -0.5}}','2026-11-23 12:00:04.000000');
CREATE TABLE epochs (
	trial_key VARCHAR(64) NOT NULL, 
	epoch INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	wall_s DOUBLE NOT NULL, 
	metrics JSON NOT NULL, 
	PRIMARY KEY (trial_key, epoch), 
	FOREIGN KEY(trial_key) REFERENCES trials ("key")
);
INSERT INTO "epochs" VALUES('26641a17813ce9ba345cd9e7b1aac648a2c8eb477cfd13aad1efaa4235e564e7',1,1,0.1,'{"mse": 0.5}');
INSERT INTO "epochs" VALUES('26641a17813ce9ba345cd9e7b1aac648a2c8eb477cfd13aad1efaa4235e564e7',2,2,0.2,'{"mse": 0.25}');
CREATE TABLE leases (
	token VARCHAR(64) NOT NULL, 
	sweep VARCHAR(100) NOT NULL, 
	joined BOOLEAN NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	pid INTEGER NOT NULL, 
	process VARCHAR(255) NOT NULL, 
	since DATETIME NOT NULL, 
	beat_at DATETIME NOT NULL, 
	beats INTEGER NOT NULL, 
	stop VARCHAR(16), 
	PRIMARY KEY (token), 
	FOREIGN KEY(sweep) REFERENCES sweeps (name)
);
INSERT INTO "leases" VALUES('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','one',0,'host',1,'boot pid:[1] 5','2026-11-23 12:00:01.000000','2026-11-23 12:00:08.000000',1,NULL);
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
INSERT INTO "outbox" VALUES(2,'one','trial_finished','26641a17813ce9ba345cd9e7b1aac648a2c8eb477cfd13aad1efaa4235e564e7','{}',NULL);
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
INSERT INTO "planned" VALUES('one',0,'26641a17813ce9ba345cd9e7b1aac648a2c8eb477cfd13aad1efaa4235e564e7',0,0,0);
INSERT INTO "planned" VALUES('one',1,'59028bc5f938276c458ec4fb678c8a157c69fe852c0ab6960f1586765e11b6d2',1,0,0);
CREATE TABLE rnnbench_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT rnnbench_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "rnnbench_version" VALUES('0004');
CREATE TABLE slots (
	sweep VARCHAR(100) NOT NULL, 
	position INTEGER NOT NULL, 
	task VARCHAR(100) NOT NULL, 
	data VARCHAR(300) NOT NULL, 
	cell VARCHAR(100) NOT NULL, 
	draw INTEGER NOT NULL, 
	drawn_at DATETIME, 
	evidence JSON, 
	PRIMARY KEY (sweep, position), 
	FOREIGN KEY(sweep) REFERENCES sweeps (name)
);
INSERT INTO "slots" VALUES('one',2,'adding','generated','lstm',7,NULL,NULL);
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
','{"name": "one", "task": [{"name": "adding", "data": "generated"}], "cells": ["lstm"], "search": {"method": "random", "num_samples": 2, "seed": 0}, "scheduler": {"name": "asha", "grace_period": 1, "reduction_factor": 2, "mode": "cohort", "cohort_size": 2}, "budget": {"max_epochs": 4, "patience": 2}, "replicates": 1}','{"python": "3.11"}','2026-11-23 12:00:00.000000',NULL,3.0);
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
	test_opened_at DATETIME, failures INTEGER DEFAULT '0' NOT NULL, rung INTEGER DEFAULT '0' NOT NULL, holder VARCHAR(64), 
	PRIMARY KEY ("key")
);
INSERT INTO "trials" VALUES('26641a17813ce9ba345cd9e7b1aac648a2c8eb477cfd13aad1efaa4235e564e7','5fa84a8749da37dabf35997e354f9e24ca3257af4dce60352f6d4cf9c34c45f9','{"stage": "search", "task": "adding", "task_version": 1, "data": "generated", "data_fingerprint": "f", "cell": "lstm", "cell_version": 1, "parameters": {"optimizer.lr": 0.01}, "seed": 0, "budget": {"max_epochs": 4, "patience": 2}, "loop_version": 1, "scheduler": {"name": "asha", "grace_period": 1, "reduction_factor": 2, "mode": "cohort", "cohort_size": 2}, "draw": 0, "replicate": 0}','completed',2,0.25,2,0.25,0.2,'{"epochs": 2, "metrics": {"mse": 0.25}, "num_parameters": 7}',NULL,NULL,'2026-11-23 12:00:05.000000','2026-11-23 12:00:07.000000',NULL,0,1,NULL);
INSERT INTO "trials" VALUES('59028bc5f938276c458ec4fb678c8a157c69fe852c0ab6960f1586765e11b6d2','5fa84a8749da37dabf35997e354f9e24ca3257af4dce60352f6d4cf9c34c45f9','{"stage": "search", "task": "adding", "task_version": 1, "data": "generated", "data_fingerprint": "f", "cell": "lstm", "cell_version": 1, "parameters": {"optimizer.lr": 0.01}, "seed": 1, "budget": {"max_epochs": 4, "patience": 2}, "loop_version": 1, "scheduler": {"name": "asha", "grace_period": 1, "reduction_factor": 2, "mode": "cohort", "cohort_size": 2}, "draw": 1, "replicate": 0}','pending',0,NULL,NULL,NULL,NULL,'{}',NULL,NULL,NULL,NULL,NULL,0,0,NULL);
CREATE UNIQUE INDEX planned_once ON planned (sweep, trial_key);
CREATE INDEX planned_trial ON planned (trial_key);
CREATE INDEX outbox_waiting ON outbox (delivered_at, id);
CREATE INDEX trials_status ON trials (status);
CREATE UNIQUE INDEX decisions_once ON decisions (sweep, trial_key, rung);
CREATE INDEX leases_sweep ON leases (sweep);
CREATE UNIQUE INDEX slots_once ON slots (sweep, task, data, cell, draw);
COMMIT;
