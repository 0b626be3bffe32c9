#!/usr/bin/env node
require('../keys/platform/launch.cjs')('agent/main')
