-- breaking
-- Numbers of snapshot, timestamp and roles as wide as signed metadata may spell them. With 32 bits, whoever signed one number near the end of
-- them kept the server from ever signing another. Breaking: a server of before reads the wide columns as text.
alter table repository
  alter column snapshot_version type bigint,
  alter column timestamp_version type bigint,
  alter column published_snapshot type bigint,
  alter column published_timestamp type bigint;
alter table role_documents alter column version type bigint;
alter table roles alter column version type bigint;
