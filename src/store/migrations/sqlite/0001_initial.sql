-- The first schema of the store.
--
-- Portable on purpose: PostgreSQL gets the same tables under migrations/postgres/, type by type:
--
--   here (SQLite, STRICT)              there
--   TEXT                               TEXT (JSON stays TEXT: the journal hashes its exact bytes)
--   INTEGER, a number or milliseconds  BIGINT
--   INTEGER CHECK (x IN (0, 1))        BIGINT with the same check (a truth value)
--   BLOB                               BYTEA (none so far)
--   ) STRICT;                          );
--
-- Hence no AUTOINCREMENT, no rowid, no json_… or strftime, `$1` placeholders, and upserts as
-- `ON CONFLICT … DO UPDATE`. Numbers that must never come again (inputs.seq) are kept increasing by
-- never deleting the row with the largest one. Partial unique indexes exist in both.
--
-- A `body` is the aggregate as versioned JSON; a column beside it exists only where a query, an
-- index or a guard needs it.

CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- Whatever comes from outside, in raw form, before anything is done about it.
CREATE TABLE inputs (
    id         TEXT    NOT NULL PRIMARY KEY,
    seq        INTEGER NOT NULL UNIQUE,
    source     TEXT    NOT NULL,
    raw        TEXT    NOT NULL,
    entered_at INTEGER NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('new', 'handled', 'set_aside')),
    attempts   INTEGER NOT NULL,
    handled_at INTEGER,
    answer     TEXT,
    keep       INTEGER NOT NULL CHECK (keep IN (0, 1))
) STRICT;
CREATE INDEX inputs_new ON inputs (seq) WHERE state = 'new';
CREATE INDEX inputs_set_aside ON inputs (seq) WHERE state = 'set_aside';
CREATE INDEX inputs_handled ON inputs (handled_at) WHERE state = 'handled' AND keep = 0;

CREATE TABLE source_offsets (
    source   TEXT NOT NULL PRIMARY KEY,
    position TEXT NOT NULL
) STRICT;

CREATE TABLE journal (
    seq   INTEGER NOT NULL PRIMARY KEY,
    at    INTEGER NOT NULL,
    kind  TEXT    NOT NULL,
    agent TEXT,
    body  TEXT    NOT NULL,
    prev  TEXT    NOT NULL,
    hash  TEXT    NOT NULL
) STRICT;
CREATE INDEX journal_agent ON journal (agent, seq) WHERE agent IS NOT NULL;
CREATE INDEX journal_kind ON journal (kind, seq);

CREATE TABLE agents (
    agent           TEXT    NOT NULL PRIMARY KEY,
    observed_at     INTEGER NOT NULL,
    last_healthy_at INTEGER,
    healthy_since   INTEGER,
    health          TEXT    NOT NULL CHECK (health IN ('healthy', 'unhealthy', 'unknown', 'unobservable')),
    body            TEXT    NOT NULL
) STRICT;

CREATE TABLE incidents (
    id        TEXT    NOT NULL PRIMARY KEY,
    agent     TEXT    NOT NULL,
    mission   TEXT    NOT NULL,
    state     TEXT    NOT NULL CHECK (state IN ('open', 'recovered', 'gone')),
    opened_at INTEGER NOT NULL,
    closed_at INTEGER,
    stand_in  TEXT,
    body      TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX incidents_one_open ON incidents (agent) WHERE state = 'open';
CREATE INDEX incidents_stand_in ON incidents (stand_in) WHERE state = 'open' AND stand_in IS NOT NULL;
CREATE INDEX incidents_agent ON incidents (agent, opened_at);
CREATE INDEX incidents_open ON incidents (opened_at, id) WHERE state = 'open';
CREATE INDEX incidents_opened ON incidents (opened_at, id);

CREATE TABLE requests (
    id           TEXT    NOT NULL PRIMARY KEY,
    incident_id  TEXT    NOT NULL REFERENCES incidents (id),
    agent        TEXT    NOT NULL,
    mission      TEXT    NOT NULL,
    approval_key TEXT    NOT NULL UNIQUE,
    key_second   INTEGER NOT NULL,
    code         TEXT    NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'expired', 'withdrawn')),
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    closed_at    INTEGER,
    body         TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX requests_one_pending ON requests (incident_id) WHERE state = 'pending';
CREATE INDEX requests_pending ON requests (created_at) WHERE state = 'pending';
CREATE INDEX requests_incident ON requests (incident_id, created_at);
CREATE INDEX requests_code ON requests (code, created_at);
CREATE INDEX requests_agent ON requests (agent, key_second);

-- Every code given, so that none is given again while somebody may still remember it.
CREATE TABLE codes (
    code       TEXT    NOT NULL PRIMARY KEY,
    request_id TEXT    NOT NULL,
    given_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX codes_given ON codes (given_at);

CREATE TABLE votes (
    id         TEXT    NOT NULL PRIMARY KEY,
    request_id TEXT    NOT NULL REFERENCES requests (id),
    person     TEXT    NOT NULL,
    input_id   TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    body       TEXT    NOT NULL
) STRICT;
CREATE INDEX votes_request ON votes (request_id, at);

CREATE TABLE executions (
    id          TEXT    NOT NULL PRIMARY KEY,
    incident_id TEXT    NOT NULL REFERENCES incidents (id),
    request_id  TEXT    REFERENCES requests (id),
    agent       TEXT    NOT NULL,
    substitute  TEXT,
    state       TEXT    NOT NULL CHECK (state IN
        ('ready', 'running', 'called_off', 'done', 'failed', 'unknown', 'verified', 'not_recovered')),
    run         TEXT,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    body        TEXT    NOT NULL
) STRICT;
-- Live: something may still take effect or awaits its verification.
CREATE UNIQUE INDEX executions_one_live ON executions (incident_id)
    WHERE state IN ('ready', 'running', 'done', 'unknown');
CREATE UNIQUE INDEX executions_one_target ON executions (agent)
    WHERE state IN ('ready', 'running', 'done', 'unknown');
CREATE UNIQUE INDEX executions_one_substitute ON executions (substitute)
    WHERE state IN ('ready', 'running', 'done', 'unknown') AND substitute IS NOT NULL;
CREATE INDEX executions_incident ON executions (incident_id, created_at);
CREATE INDEX executions_runs ON executions (updated_at) WHERE run IS NOT NULL;
CREATE INDEX executions_request ON executions (request_id) WHERE request_id IS NOT NULL;

CREATE TABLE messages (
    id         TEXT    NOT NULL PRIMARY KEY,
    channel    TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    about      TEXT,
    copy       TEXT    REFERENCES messages (id),
    kind       TEXT    NOT NULL CHECK (kind IN ('card', 'edit', 'note')),
    priority   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('due', 'sent', 'gone')),
    attempts   INTEGER NOT NULL,
    next_at    INTEGER NOT NULL,
    remote_id  TEXT,
    sent_at    INTEGER,
    body       TEXT    NOT NULL,
    CHECK ((kind = 'edit') = (copy IS NOT NULL))
) STRICT;
CREATE INDEX messages_due ON messages (channel, priority, created_at) WHERE state = 'due';
CREATE UNIQUE INDEX messages_one_due_edit ON messages (copy) WHERE state = 'due' AND copy IS NOT NULL;
CREATE INDEX messages_over ON messages (created_at) WHERE state <> 'due' AND kind <> 'card';
CREATE INDEX messages_copy ON messages (copy) WHERE copy IS NOT NULL;
CREATE INDEX messages_about ON messages (about) WHERE about IS NOT NULL;

CREATE TABLE epochs (
    mission      TEXT    NOT NULL,
    agent        TEXT    NOT NULL,
    epoch        INTEGER NOT NULL,
    raised_at    INTEGER NOT NULL,
    execution_id TEXT    NOT NULL,
    PRIMARY KEY (mission, agent, epoch)
) STRICT;
CREATE UNIQUE INDEX epochs_execution ON epochs (execution_id, mission, agent);
