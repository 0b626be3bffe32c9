-- compatible
-- Every enrolment asks whether its name is another host's. Not unique: hosts of before may share a name, and stay.
create index hosts_name on hosts (name);
