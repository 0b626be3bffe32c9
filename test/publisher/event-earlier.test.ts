// After an upgrade: what an earlier version left open has an id by that version's way of naming, which said nothing of lists of files. It is not signed or
// published any more, and it is no sign of tampering: it can be stopped, and proposed again.
import { once } from 'node:events'
import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { earlierEventIdOf } from '../../keys/signing-event.ts'
import type { CarriedEvent } from '../../schema/signing-event.ts'
import { splitFolders } from './event-folders.ts'
import { answerOf, asSigners, openWorld, type PublisherWorld } from './world.ts'

const as = (name: string) => ['--dir', name, ...asSigners(['alice'])]

/** The server on this port as if it had taken in the event under its earlier name. */
async function openEarlierServer(port: number, id: string, earlier: string): Promise<string> {
  const server = createServer(async (request, response) => {
    const parts: Uint8Array[] = []
    for await (const part of request) parts.push(part)
    const { host: _host, connection: _connection, ...headers } = request.headers
    const answer = await fetch(`http://127.0.0.1:${port}${request.url?.replace(earlier, id)}`, {
      method: request.method ?? 'GET',
      headers: headers as Record<string, string>,
      ...(parts.length > 0 ? { body: Buffer.concat(parts) } : {}),
    })
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'text/plain' })
    const bytes = Buffer.from(await answer.arrayBuffer())
    response.end(Buffer.from(bytes.toString('latin1').replaceAll(id, earlier), 'latin1'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const fileOf = (world: PublisherWorld, folder: string, id: string) => join(world.folder, folder, 'events', `${id}.json`)

/** In the folder of alice, in a file that she can carry, and on a server. */
async function leftOpen(world: PublisherWorld): Promise<{ id: string; earlier: string; server: string }> {
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  await splitFolders(world)
  const proposed = await world.publish('propose', '0a1', '--from', 'app-v1', ...as('alice'), '--json')
  expect(proposed, proposed.stderr).toMatchObject({ status: 0 })
  const id = String(answerOf(proposed).event)
  const event: CarriedEvent = JSON.parse(await readFile(fileOf(world, 'alice', id), 'utf8'))
  const earlier = earlierEventIdOf(event)
  await rename(world, event, earlier)
  return { id, earlier, server: await openEarlierServer(world.port, id, earlier) }
}

async function rename(world: PublisherWorld, event: CarriedEvent, id: string): Promise<void> {
  await rm(fileOf(world, 'alice', event.id))
  const text = JSON.stringify({ ...event, id })
  await writeFile(fileOf(world, 'alice', id), text)
  await writeFile(join(world.folder, 'stick.json'), text)
}

test('an event of an earlier version is neither signed nor published, and stopped by whatever name', async () => {
  const world = await openWorld()
  const { earlier, server } = await leftOpen(world)

  // then: nobody is alarmed, and the way on is said
  for (const args of [
    ['sign', earlier, ...as('alice'), '--yes', '--server', server],
    ['sign', '0a1', ...as('alice'), '--yes', '--offline'],
    ['sign', './stick.json', ...as('alice'), '--yes'],
    ['publish', earlier, '--dir', 'alice', '--server', server],
    ['status', earlier, '--dir', 'alice', '--server', server],
    ['status', earlier, '--dir', 'alice', '--offline'],
  ]) {
    const refused = await world.publish(...args)
    expect(refused, args.join(' ')).toMatchObject({ status: 3, stdout: '' })
    expect(refused.stderr).toContain('was made by an earlier version: abort it, and propose it again')
    expect(refused.stderr).toContain(`netlink-publish abort ${earlier} --reason WORDS`)
    expect(refused.stderr).not.toContain('E-ALTERED')
  }
  await writeFile(join(world.folder, 'app-v1', 'more.txt'), 'more')
  const twice = await world.publish('propose', '0a1', '--from', 'app-v1', ...as('alice'), '--offline')
  expect(twice).toMatchObject({ status: 3, stderr: expect.stringContaining(`netlink-publish abort ${earlier}`) })

  // when: it is stopped, with the server and without
  for (const [index, args] of [
    ['0a1', '--server', server],
    [earlier, '--server', server],
    ['0a1', '--offline'],
    [earlier, '--offline'],
    ['./stick.json', '--offline'],
  ].entries()) {
    const folder = `alice-${index}`
    await cp(join(world.folder, 'alice'), join(world.folder, folder), { recursive: true })
    const stopped = await world.publish('abort', ...args, '--reason', 'we upgraded', '--dir', folder)
    expect(stopped, `${args.join(' ')}: ${stopped.stderr}`).toMatchObject({ status: 0 })

    // then: the same keys propose it again, and what they signed before is not forgotten
    const again = await world.publish('propose', '0a1', '--from', 'app-v1', ...as(folder), '--offline')
    expect(again, `${args.join(' ')}: ${again.stderr}`).toMatchObject({ status: 0 })
    const kept: CarriedEvent = JSON.parse(await readFile(fileOf(world, folder, earlier), 'utf8'))
    expect(Buffer.from(kept.documents.alpha ?? '', 'base64').toString()).toContain('"sig"')
    const status = await world.publish('status', earlier, '--dir', folder, '--offline')
    expect(status).toMatchObject({ status: 3, stderr: expect.stringContaining('was stopped at') })
  }
}, 180_000)

test('an id that no version gave stays an alarm, and stops nothing but itself', async () => {
  const world = await openWorld()
  const { id, earlier } = await leftOpen(world)
  const event: CarriedEvent = JSON.parse(await readFile(fileOf(world, 'alice', earlier), 'utf8'))
  const nobodys = `e_${'0'.repeat(32)}`
  await rename(world, event, nobodys)

  for (const args of [
    ['sign', nobodys, ...as('alice'), '--yes', '--offline'],
    ['status', nobodys, '--dir', 'alice', '--offline'],
    ['abort', './stick.json', '--reason', 'odd', '--dir', 'alice', '--offline'],
  ]) {
    const refused = await world.publish(...args)
    expect(refused, args.join(' ')).toMatchObject({ status: 7, stdout: '' })
    expect(refused.stderr).toContain(`what came as ${nobodys} is another proposal, ${id}`)
    expect(refused.stderr).toContain('E-ALTERED')
  }
  const stopped = await world.publish('abort', nobodys, '--reason', 'odd', '--dir', 'alice')
  expect(stopped, stopped.stderr).toMatchObject({ status: 0 })

  // and: under the name of its content it is looked at and signed
  await rename(world, { ...event, id: nobodys }, id)
  const signed = await world.publish('sign', id, '--dir', 'bob', ...asSigners(['bob']), '--yes')
  expect(signed, signed.stderr).toMatchObject({ status: 0 })
  const status = await world.publish('status', './stick.json', '--dir', 'alice')
  expect(status, status.stderr).toMatchObject({ status: 0 })
}, 120_000)
