-- compatible
-- What each host was assigned last, as it was signed. Older ones are in the audit log.
create table assignments (
  host_id text primary key references hosts on delete cascade,
  -- Rises with every assignment of the host.
  sequence bigint not null check (sequence > 0),
  action text not null check (action in ('none', 'update', 'downgrade')),
  version text,
  expires timestamptz not null,
  document bytea not null,
  signed_at timestamptz not null
);
create index assignments_version on assignments (version);
