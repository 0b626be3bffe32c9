#!/usr/bin/env node
require('../keys/platform/launch.cjs')('server/main')
