'use strict'
// npm links the bins of dependencies, not those of the package it stands in; without a link `npx netlink` would ask the registry
// for a stranger's package of that name. Runs as the `prepare` script of a checkout.
var fs = require('node:fs')
var path = require('node:path')

var root = path.resolve(__dirname, '..', '..')
var folder = path.join(root, 'node_modules', '.bin')
var bins = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')).bin
fs.mkdirSync(folder, { recursive: true })
Object.keys(bins).forEach(function (name) {
  var link = path.join(folder, name)
  fs.rmSync(link, { force: true })
  fs.symlinkSync(path.relative(folder, path.join(root, bins[name])), link)
  fs.chmodSync(path.join(root, bins[name]), 0o755)
})
