-- +goose Up

-- How far each topic has come in the revocation log.
CREATE TABLE outbox_places (
	topic TEXT    NOT NULL PRIMARY KEY,
	seq   INTEGER NOT NULL
) WITHOUT ROWID;

-- What is to be told to others. A message that was delivered is gone.
CREATE TABLE outbox (
	number     INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	id         TEXT    NOT NULL UNIQUE,
	topic      TEXT    NOT NULL,
	receiver   TEXT    NOT NULL,
	seq        INTEGER NOT NULL,
	body       BLOB,
	created_at INTEGER NOT NULL,
	due_at     INTEGER NOT NULL,
	attempts   INTEGER NOT NULL,
	holder     TEXT    NOT NULL,
	held_until INTEGER NOT NULL,
	state      TEXT    NOT NULL,
	problem    TEXT    NOT NULL,
	settled_at INTEGER NOT NULL
);
CREATE INDEX outbox_due ON outbox (topic, receiver, due_at) WHERE state = 'waiting';
CREATE INDEX outbox_receiver ON outbox (receiver);
CREATE INDEX outbox_created ON outbox (created_at) WHERE state = 'waiting';
CREATE INDEX outbox_settled ON outbox (settled_at) WHERE state <> 'waiting';

-- Receivers that said themselves what they want to hear.
CREATE TABLE streams (
	id        TEXT    NOT NULL PRIMARY KEY,
	client_id TEXT    NOT NULL,
	audience  TEXT    NOT NULL,
	version   INTEGER NOT NULL,
	body      TEXT    NOT NULL,
	UNIQUE (client_id, audience)
);

-- Whom they do not want to hear of.
CREATE TABLE stream_omissions (
	stream_id TEXT    NOT NULL,
	subject   TEXT    NOT NULL,
	at        INTEGER NOT NULL,
	PRIMARY KEY (stream_id, subject)
) WITHOUT ROWID;
CREATE INDEX stream_omissions_subject ON stream_omissions (subject);

-- +goose Down
