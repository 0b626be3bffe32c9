#!/bin/sh
# First start: make the folder a server on the database and the bucket of this composition. Every start: migrate and serve.
set -eu
dir=/var/lib/netlink-server/srv
if [ ! -e "$dir/server.yml" ]; then
  netlink-server init --dir "$dir" --public-url "${NETLINK_PUBLIC_URL:?}" --db-file /run/secrets/database_url \
    --storage s3 --s3-endpoint "${NETLINK_S3_ENDPOINT:?}" --s3-bucket "${NETLINK_S3_BUCKET:?}" --s3-credentials /run/secrets/s3_credentials
fi
exec netlink-server serve --dir "$dir" --listen 0.0.0.0:8400 --migrate
