'use strict'
// What every bin does first, in a language that an old Node can still parse.
// Order: this Node if it is new enough, else the Node that npm pinned for this machine, else exit 2 naming the version needed.
var fs = require('node:fs')
var path = require('node:path')

var NEEDED = 24

/** Starts `main` (a module path without extension, relative to the package root) on a Node that can run it. */
module.exports = function launch(main) {
  var root = path.resolve(__dirname, '..', '..')
  var script = entry(root, main)
  if (Number(process.versions.node.split('.')[0]) >= NEEDED) {
    // It would switch every certificate check off, tokens would go to whoever answers. `--ca FILE` is the way to a certificate of one's own.
    delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
    cacheCompiled(root)
    import(require('node:url').pathToFileURL(script).href).catch(fail)
    return
  }
  var pinned = pinnedNode(root)
  if (!pinned) {
    process.stderr.write(
      'error E-NODE-VERSION: this program needs Node ' +
        NEEDED +
        ' or newer, and this is Node ' +
        process.versions.node +
        '.\n' +
        '  The pinned Node (npm package node-' +
        process.platform +
        '-' +
        process.arch +
        ') is not installed either.\n' +
        '  Nothing was changed.\n' +
        '  Next: npm install --include=optional\n',
    )
    process.exit(2)
  }
  runOn(pinned, script)
}

/**
 * Keeps what V8 compiled (and, in a checkout, what the type stripper left) inside the package, never in a folder that others may write to.
 * Who may not write there runs without it. Handed on to the processes that this one starts.
 */
function cacheCompiled(root) {
  var folder = path.join(root, 'node_modules', '.cache', 'netlink')
  require('node:module').enableCompileCache(folder)
  process.env.NODE_COMPILE_CACHE = folder
}

/** Sources run as they are in a checkout; an installed package runs what `npm run build` made (Node strips no types inside node_modules). */
function entry(root, main) {
  var source = path.join(root, main + '.ts')
  var inPackage = root.split(path.sep).indexOf('node_modules') !== -1
  return !inPackage && fs.existsSync(source) ? source : path.join(root, 'dist', main + '.js')
}

function pinnedNode(root) {
  var name = path.join('node-' + process.platform + '-' + process.arch, 'bin', 'node')
  for (var dir = root; ; dir = path.dirname(dir)) {
    var candidate = path.join(dir, 'node_modules', name)
    if (fs.existsSync(candidate)) return candidate
    if (dir === path.dirname(dir)) return undefined
  }
}

/** A child that takes our place as well as an old Node allows: same stdio, every signal handed on, its end is our end. */
function runOn(node, script) {
  var child = require('node:child_process').spawn(node, process.execArgv.concat([script], process.argv.slice(2)), {
    stdio: 'inherit',
  })
  var signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2']
  signals.forEach(function (signal) {
    process.on(signal, function () {
      child.kill(signal)
    })
  })
  child.on('error', fail)
  child.on('exit', function (code, signal) {
    if (signal) {
      signals.forEach(function (name) {
        process.removeAllListeners(name)
      })
      process.kill(process.pid, signal)
    } else process.exit(code === null ? 1 : code)
  })
}

function fail(error) {
  process.stderr.write((error && error.stack ? error.stack : String(error)) + '\n')
  process.exit(1)
}
