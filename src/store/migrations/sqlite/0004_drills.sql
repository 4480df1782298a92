-- Drills: questions to people that mean nothing but "are you there?". The id is that of the input which
-- started one. Their codes stand in `codes`, their cards in `messages` (about = the drill's id).

CREATE TABLE drills (
    id         TEXT    NOT NULL PRIMARY KEY,
    mission    TEXT    NOT NULL,
    code       TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('pending', 'answered', 'expired')),
    started_at INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL,
    body       TEXT    NOT NULL
) STRICT;
-- One at a time for each mission's people.
CREATE UNIQUE INDEX drills_one_pending ON drills (mission) WHERE state = 'pending';
CREATE INDEX drills_code ON drills (code, started_at);
CREATE INDEX drills_over ON drills (ends_at) WHERE state <> 'pending';
