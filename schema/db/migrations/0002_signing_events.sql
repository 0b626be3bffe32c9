-- compatible
-- Changes that several people sign, each on a machine of their own.

create table signing_events (
  id text primary key,
  -- What it is about: everything but the documents.
  facts jsonb not null,
  -- What was proposed, its documents without signatures.
  event jsonb not null,
  -- The version of each of its documents, by role.
  roles jsonb not null,
  -- Length of what was handed in, for the limit on all of them together.
  bytes int not null,
  created_at timestamptz not null,
  until timestamptz not null,
  aborted_at timestamptz,
  abort_reason text
);
create index signing_events_created on signing_events (created_at, id);

-- Only signatures that verified when they came: nothing else takes up a place.
create table signing_event_signatures (
  event_id text not null references signing_events on delete cascade,
  role text not null,
  keyid text not null,
  sig text not null,
  added_at timestamptz not null,
  primary key (event_id, role, keyid)
);
