-- breaking
-- Reports are signed and chained by their hosts. What came before was unsigned and proves nothing: it is not kept.

delete from host_events;
alter table host_events
  -- The text that was signed, kept as it is: `jsonb` would write it anew.
  alter column body type json using body::json,
  add column epoch text not null,
  add column previous text,
  add column signature text not null,
  -- Of the statement: what the next report names.
  add column sha256 text not null;

alter table hosts
  -- The chain as it is stored: which, and the hash of its last report. Null: none since the host was enrolled.
  add column epoch text,
  add column tip text,
  -- More than one machine speaks for this host: since when, and how it showed.
  add column forked_at timestamptz,
  add column fork jsonb,
  add constraint hosts_fork check ((forked_at is null) = (fork is null));
create index hosts_forked on hosts (host_id) where forked_at is not null;

-- As before, and `identity`.
create or replace function count_hosts() returns trigger language plpgsql as $$
begin
  -- Rows are taken in one order, so that two batches never wait for each other in a circle.
  if tg_op = 'INSERT' then
    insert into counts (dimension, key, hosts)
      select d.dimension, d.key, count(*) from added h, lateral (values
        ('total', ''), ('version', coalesce(h.version, '')), ('channel', h.channel), ('group', coalesce(h.group_name, '')),
        ('state', h.state), ('waiting', h.waiting),
        ('identity', case when h.forked_at is not null then 'forked' end)) as d(dimension, key)
      where d.key is not null group by 1, 2 order by 1, 2
      on conflict (dimension, key) do update set hosts = counts.hosts + excluded.hosts;
  elsif tg_op = 'DELETE' then
    insert into counts (dimension, key, hosts)
      select d.dimension, d.key, -count(*) from removed h, lateral (values
        ('total', ''), ('version', coalesce(h.version, '')), ('channel', h.channel), ('group', coalesce(h.group_name, '')),
        ('state', h.state), ('waiting', h.waiting),
        ('identity', case when h.forked_at is not null then 'forked' end)) as d(dimension, key)
      where d.key is not null group by 1, 2 order by 1, 2
      on conflict (dimension, key) do update set hosts = counts.hosts + excluded.hosts;
  else
    insert into counts (dimension, key, hosts)
      select d.dimension, d.key, sum(d.n) from (
        select v.dimension, v.key, 1 as n from added h, lateral (values
          ('version', coalesce(h.version, '')), ('channel', h.channel), ('group', coalesce(h.group_name, '')),
          ('state', h.state), ('waiting', h.waiting),
          ('identity', case when h.forked_at is not null then 'forked' end)) as v(dimension, key)
        union all
        select v.dimension, v.key, -1 from removed h, lateral (values
          ('version', coalesce(h.version, '')), ('channel', h.channel), ('group', coalesce(h.group_name, '')),
          ('state', h.state), ('waiting', h.waiting),
          ('identity', case when h.forked_at is not null then 'forked' end)) as v(dimension, key)
      ) d where d.key is not null group by 1, 2 having sum(d.n) <> 0 order by 1, 2
      on conflict (dimension, key) do update set hosts = counts.hosts + excluded.hosts;
  end if;
  return null;
end $$;
