-- compatible
-- The first schema. This file is never edited again: what changes comes in a file of its own.

-- What is accepted and what is published. One row.
create table repository (
  id int primary key default 1 check (id = 1),
  product text,
  -- Accepted; its files come with the next seal.
  root_version int not null default 0,
  -- Given out: no seal uses a number twice, also one that was cut off.
  snapshot_version int not null default 0,
  timestamp_version int not null default 0,
  -- What lies in the published files. `published_changes` counts the seals that brought something new.
  published_root int not null default 0,
  published_snapshot int not null default 0,
  published_timestamp int not null default 0,
  published_changes int not null default 0,
  sealed_at timestamptz,
  snapshot_expires timestamptz,
  timestamp_expires timestamptz
);
insert into repository default values;

-- Signed documents of root, targets and delegated roles, byte for byte, by role and version.
create table role_documents (
  role text not null,
  version int not null,
  document bytea not null,
  sha256 text not null,
  length int not null,
  expires timestamptz not null,
  -- Key ids with a valid signature when it was accepted, and how many were needed.
  signed_by text[] not null,
  threshold int not null,
  accepted_at timestamptz not null,
  primary key (role, version)
);

-- Which version of each role a snapshot lists (root: the newest of the chain).
create table roles (
  role text primary key,
  version int not null,
  foreign key (role, version) references role_documents (role, version)
);

create table releases (
  version text primary key,
  -- Sorts as versions do (server/core/version-order.ts).
  version_order text collate "C" not null unique,
  channel text not null,
  path text not null unique,
  manifest bytea not null,
  manifest_sha256 text not null,
  released_at timestamptz not null,
  promoted_from text,
  platforms text[] not null,
  bytes bigint not null,
  summary text not null,
  withdrawn jsonb,
  accepted_at timestamptz not null,
  -- Whether its manifest lies in the published files.
  published boolean not null default false
);
create index releases_channel on releases (channel, version_order);

-- Bytes in storage whose hash was checked when they came.
create table artifacts (
  sha256 text primary key,
  sha512 text not null,
  length bigint not null,
  stored_at timestamptz not null
);

create table tokens (
  id text primary key,
  name text not null,
  scope text not null,
  -- SHA-256 of the secret's 256 bits: no salt needed.
  secret_sha256 bytea not null,
  group_name text,
  created_at timestamptz not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  -- Only of enrolment tokens. Taken in the transaction that makes the host.
  uses_left int check (uses_left >= 0)
);

create table hosts (
  host_id text primary key,
  name text not null,
  public_key bytea not null,
  group_name text,
  labels jsonb not null default '{}',
  platform text not null,
  channel text not null,
  enrolled_at timestamptz not null,
  enrolled_with text,
  -- Greatest report number stored.
  stored_seq bigint not null default 0,
  version text,
  version_order text collate "C",
  -- Of the newest attempt, or idle.
  state text not null default 'idle',
  waiting text,
  inventory jsonb,
  attempt jsonb
);
create index hosts_version on hosts (version);
create index hosts_group on hosts (group_name);
create index hosts_state on hosts (state) where state <> 'idle';

-- Signs of life, apart from hosts: written every few seconds, and no reason to touch counts or wide rows.
create table presence (
  host_id text primary key references hosts on delete cascade,
  last_seen timestamptz not null,
  -- The replica that holds its socket, null: none.
  replica text,
  -- What the host has verified.
  timestamp_version int not null default 0
);
create index presence_last_seen on presence (last_seen);

create table host_events (
  host_id text not null references hosts on delete cascade,
  seq bigint not null,
  at timestamptz not null,
  received_at timestamptz not null,
  type text not null,
  body jsonb not null,
  primary key (host_id, seq)
);
create index host_events_received on host_events (received_at);

create table attempts (
  host_id text not null references hosts on delete cascade,
  update_id text not null,
  kind text not null,
  from_version text,
  to_version text not null,
  state text not null,
  code text,
  reason text,
  seq bigint not null,
  started_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (host_id, update_id)
);
create index attempts_to on attempts (to_version, state);

-- How many hosts there are of each kind. Kept by the triggers below in the very statement that changes hosts, so it can't be forgotten.
create table counts (
  dimension text not null,
  key text not null,
  hosts bigint not null,
  primary key (dimension, key)
);

create function count_hosts() returns trigger language plpgsql as $$
begin
  -- Rows are taken in one order, so that two batches never wait for each other in a circle.
  if tg_op = 'INSERT' then
    insert into counts (dimension, key, hosts)
      select d.dimension, d.key, count(*) from added h, lateral (values
        ('total', ''), ('version', coalesce(h.version, '')), ('channel', h.channel), ('group', coalesce(h.group_name, '')),
        ('state', h.state), ('waiting', h.waiting)) as d(dimension, key)
      where d.key is not null group by 1, 2 order by 1, 2
      on conflict (dimension, key) do update set hosts = counts.hosts + excluded.hosts;
  elsif tg_op = 'DELETE' then
    insert into counts (dimension, key, hosts)
      select d.dimension, d.key, -count(*) from removed h, lateral (values
        ('total', ''), ('version', coalesce(h.version, '')), ('channel', h.channel), ('group', coalesce(h.group_name, '')),
        ('state', h.state), ('waiting', h.waiting)) as d(dimension, key)
      where d.key is not null group by 1, 2 order by 1, 2
      on conflict (dimension, key) do update set hosts = counts.hosts + excluded.hosts;
  else
    insert into counts (dimension, key, hosts)
      select d.dimension, d.key, sum(d.n) from (
        select v.dimension, v.key, 1 as n from added h, lateral (values
          ('version', coalesce(h.version, '')), ('channel', h.channel), ('group', coalesce(h.group_name, '')),
          ('state', h.state), ('waiting', h.waiting)) as v(dimension, key)
        union all
        select v.dimension, v.key, -1 from removed h, lateral (values
          ('version', coalesce(h.version, '')), ('channel', h.channel), ('group', coalesce(h.group_name, '')),
          ('state', h.state), ('waiting', h.waiting)) as v(dimension, key)
      ) d where d.key is not null group by 1, 2 having sum(d.n) <> 0 order by 1, 2
      on conflict (dimension, key) do update set hosts = counts.hosts + excluded.hosts;
  end if;
  return null;
end $$;

create trigger hosts_counted_insert after insert on hosts
  referencing new table as added for each statement execute function count_hosts();
create trigger hosts_counted_update after update on hosts
  referencing old table as removed new table as added for each statement execute function count_hosts();
create trigger hosts_counted_delete after delete on hosts
  referencing old table as removed for each statement execute function count_hosts();

-- The fleet's brake. One row.
create table brake (
  id int primary key default 1 check (id = 1),
  paused boolean not null default false,
  reason text,
  since timestamptz
);
insert into brake default values;

create table audit (
  id bigint generated always as identity primary key,
  at timestamptz not null,
  actor jsonb not null,
  action text not null,
  subject text,
  reason text,
  before jsonb,
  after jsonb,
  request_id text
);
create index audit_action on audit (action, id);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'the audit log is only ever appended to';
end $$;
create trigger audit_append_only before update or delete on audit for each row execute function refuse_change();
create trigger audit_never_empty before truncate on audit for each statement execute function refuse_change();

-- Who may do something by the clock: sealing, retention. A lapsed lease is anybody's.
create table leases (
  name text primary key,
  holder text not null,
  expires_at timestamptz not null
);

-- Running server processes. One that has not been heard of for a while holds no sockets.
create table replicas (
  id text primary key,
  started_at timestamptz not null,
  heard_at timestamptz not null,
  online int not null default 0
);
