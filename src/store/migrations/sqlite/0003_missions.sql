-- The mission bus. Portable as 0001 tells.

CREATE TABLE missions (
    name       TEXT    NOT NULL PRIMARY KEY,
    title      TEXT,
    config     TEXT    NOT NULL,
    profile    TEXT,
    state      TEXT    NOT NULL CHECK (state IN ('open', 'importing')),
    created_at INTEGER NOT NULL,
    created_by TEXT    NOT NULL
) STRICT;

-- The end of each stream, apart from what seldom changes: every append rewrites it. It also shows
-- when events are missing at the end.
CREATE TABLE mission_heads (
    mission TEXT    NOT NULL PRIMARY KEY REFERENCES missions (name),
    seq     INTEGER NOT NULL,
    hash    TEXT    NOT NULL
) STRICT;

CREATE TABLE mission_participants (
    mission   TEXT    NOT NULL REFERENCES missions (name),
    name      TEXT    NOT NULL,
    place     INTEGER NOT NULL,
    role      TEXT    NOT NULL CHECK (role IN ('lead', 'write', 'read', 'audit')),
    metadata  TEXT    NOT NULL,
    joined_at INTEGER NOT NULL,
    PRIMARY KEY (mission, name)
) STRICT;

-- Who owns whose part: one row a part, hence one owner.
CREATE TABLE mission_parts (
    mission TEXT    NOT NULL REFERENCES missions (name),
    part    TEXT    NOT NULL,
    owner   TEXT    NOT NULL,
    since   INTEGER NOT NULL,
    PRIMARY KEY (mission, part)
) STRICT;

CREATE TABLE mission_events (
    mission TEXT    NOT NULL REFERENCES missions (name),
    seq     INTEGER NOT NULL,
    kind    TEXT    NOT NULL CHECK (kind IN ('message', 'checkpoint', 'handoff')),
    id      TEXT    NOT NULL,
    sender  TEXT    NOT NULL,
    epoch   INTEGER NOT NULL,
    body    TEXT    NOT NULL,
    prev    TEXT    NOT NULL,
    hash    TEXT    NOT NULL,
    PRIMARY KEY (mission, seq)
) STRICT;
-- Only what is looked up: most events are messages, and their ids are scattered.
CREATE INDEX mission_events_id ON mission_events (mission, kind, id, seq) WHERE kind <> 'message';
CREATE INDEX mission_events_checkpoint ON mission_events (mission, seq) WHERE kind = 'checkpoint';
CREATE INDEX mission_events_checkpoint_of ON mission_events (mission, sender, seq) WHERE kind = 'checkpoint';

-- How each handoff that was made here stands; the event itself is in the stream.
CREATE TABLE mission_handoffs (
    mission    TEXT    NOT NULL REFERENCES missions (name),
    id         TEXT    NOT NULL,
    seq        INTEGER NOT NULL,
    part       TEXT    NOT NULL,
    sender     TEXT    NOT NULL,
    recipient  TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('offered', 'accepted', 'declined', 'expired')),
    offered_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    closed_at  INTEGER,
    reason     TEXT,
    PRIMARY KEY (mission, id)
) STRICT;
CREATE UNIQUE INDEX mission_handoffs_one_offer ON mission_handoffs (mission, part) WHERE state = 'offered';
CREATE INDEX mission_handoffs_id ON mission_handoffs (id);
CREATE INDEX mission_handoffs_open ON mission_handoffs (expires_at) WHERE state = 'offered';

-- Which incarnation has which epoch: the first to attach. Of its nonce only the hash is kept.
CREATE TABLE mission_attachments (
    mission     TEXT    NOT NULL REFERENCES missions (name),
    agent       TEXT    NOT NULL,
    epoch       INTEGER NOT NULL,
    nonce       TEXT    NOT NULL,
    attached_at INTEGER NOT NULL,
    PRIMARY KEY (mission, agent, epoch)
) STRICT;
