-- What people's commands to the bus need. Portable as 0001 tells.

-- A handoff that somebody was shown and has not posted yet; once posted, the handoff has its id.
CREATE TABLE mission_previews (
    id         TEXT    NOT NULL PRIMARY KEY,
    mission    TEXT    NOT NULL REFERENCES missions (name),
    person     TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('waiting', 'posted', 'cancelled')),
    created_at INTEGER NOT NULL,
    body       TEXT    NOT NULL
) STRICT;
CREATE INDEX mission_previews_created ON mission_previews (created_at);

-- Documents that came with a command and are still to be fetched from where they lie: a download must
-- not hold up the inbox. The command is carried out when its document is here.
CREATE TABLE documents (
    id         TEXT    NOT NULL PRIMARY KEY,
    channel    TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    next_at    INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    body       TEXT    NOT NULL
) STRICT;
CREATE INDEX documents_due ON documents (channel, next_at);
