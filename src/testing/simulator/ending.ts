/** The end of a history: faults stop, people do what only they can, and everything must drain in time, and be true. */
import type { FlushReport } from "../../answers.ts"
import type { Client } from "../world/client.ts"
import * as limit from "../../intent/limit.ts"
import type { Simulation } from "./simulation.ts"
import { asked_ms_max } from "./watch.ts"

/** Blocks that people lift, met one after the other. */
const rounds_max = 4

export async function end(sim: Simulation): Promise<void> {
  const { world, watch } = sim
  await sim.heal()
  await drainPastBlocks(sim)
  if (sim.plan.seed % 3 === 0) await mend(sim)
  watch.check("healed")
  checkBlocks(sim)
  const [untold] = sim.plan.knobs.resync ? watch.untold : []
  if (untold) watch.fail(`a twin of ${untold} was met, and the resync hook was not told`)
  checkEffects(sim)
  if (world.trace.length > 100_000) watch.fail("I11 too much happened")
}

/** Everything drains, and people lift what stands in the way. */
async function drainPastBlocks(sim: Simulation): Promise<void> {
  for (let round = 1; ; round++) {
    await drain(sim)
    const blocked = liftable(sim)
    if (blocked.length === 0) return
    if (round > rounds_max) sim.watch.fail(`I10 blocked again and again: ${blocked.map(([, , why]) => why).join(", ")}`)
    for (const [client, stream] of blocked) sim.unblock(client, stream)
  }
}

/** I10: the longest pause, a deadline, a lease that its holder left, and what a gateway asked for, for each process. */
async function drain(sim: Simulation): Promise<void> {
  const { world, plan } = sim
  // A wall clock that was set back makes a gateway's word look longer, up to the longest that is believed.
  const jumped = plan.steps.some(({ does }) => does === "clock jumped")
  const asked_ms = jumped ? limit.retry_after_ms_max : asked_ms_max
  const bound_ms = plan.knobs.retryDelayMsMax + limit.request_deadline_ms + 2 * limit.lease_ms + asked_ms
  const each = [...world.clients]
  const isAlone = each.length === 1 && sim.streams.length === 1
  for (let round = 0; round < (isAlone ? 1 : 2); round++) {
    // What is late arrives; who comes second finds the register moved; a reset or removal of one may be news for another.
    world.net.hurry()
    await sim.pass(0)
    // After a rollback its discovery is due at the next contact, so there must be one.
    for (const client of each) if (round === 0) contact(sim, client)
    for (const client of each) {
      if (!client.opened) continue
      const began = world.clock.monotonic()
      await flush(sim, client, bound_ms)
      const took_ms = world.clock.monotonic() - began
      if (took_ms > bound_ms) sim.watch.fail(`I10 ${client.name} took ${took_ms} ms to drain, over ${bound_ms}`)
    }
  }
}

async function flush(sim: Simulation, client: Client, bound_ms: number): Promise<void> {
  const { clock } = sim.world
  const until = clock.monotonic() + bound_ms
  let report: FlushReport | undefined
  const ask = () =>
    client.outbox.flush().then(
      (done) => (report = done),
      (error: unknown) => sim.watch.fail(`flush of ${client.name}: ${String(error)}`),
    )
  void ask()
  for (;;) {
    await sim.world.calm()
    sim.watch.check()
    // The disk takes something again, and nobody has tried yet.
    const isOfDisk = report?.blocked.some(({ reason }) => reason === "disk_full")
    if (report && !isOfDisk) return
    if (isOfDisk) {
      await sim.pass(limit.poll_ms)
      report = undefined
      void ask()
      continue
    }
    const next = clock.nextAt
    if (next === undefined || next > until) sim.watch.fail(`I10 ${client.name} did not drain within ${bound_ms} ms`)
    clock.turnTo(next)
  }
}

function contact(sim: Simulation, client: Client): void {
  sim.host(client).catchUp()
  if (sim.world.server.rollbacks === 0) return
  for (const stream of client.file.streams)
    if (client.file.row(stream)!.time_removal === null) client.record(sim.nextName(), { stream })
}

function liftable(sim: Simulation): [Client, string, string][] {
  return sim.world.clients.flatMap((client) =>
    client.file.streams.flatMap((stream): [Client, string, string][] => {
      const { block } = client.file.row(stream)!
      return block === null || block === "share_removed"
        ? []
        : [[client, stream, `${stream} of ${client.name} ${block}`]]
    }),
  )
}

/** The service takes everything: what is dead is retried until nothing is. */
async function mend(sim: Simulation): Promise<void> {
  const { world, watch } = sim
  world.server.app.mended = true
  if (world.server.app.version === 1) {
    world.server.app.version = 2
    world.server.restart()
  }
  for (let round = 0; ; round++) {
    const dead = deadIn(sim)
    if (dead.length === 0) return
    // What it depended on is gone with the file, or forgotten at the service: it can only be given up.
    if (round > 5 && sim.forgotten)
      for (const [client, stream] of dead) for (const name of client.undecided(stream)) tryDiscard(client, name, stream)
    if (round > 20) watch.fail(`stays dead: ${dead.map(([client, stream]) => `${stream} of ${client.name}`)}`)
    for (const [client, stream] of dead)
      for (const name of client.undecided(stream))
        if (client.undecided(stream).includes(name)) sim.host(client).retry(name, stream)
    await drainPastBlocks(sim)
  }
}

/** It may have gone along with another one. */
function tryDiscard(client: Client, name: string, stream: string): void {
  if (client.undecided(stream).includes(name)) client.discard(name, stream)
}

function deadIn(sim: Simulation): [Client, string][] {
  return sim.world.clients.flatMap((client) =>
    client.file.streams
      .filter((stream) => client.file.row(stream)!.time_removal === null)
      .filter((stream) => client.file.row(stream)!.block === null && client.undecided(stream).length > 0)
      .map((stream): [Client, string] => [client, stream]),
  )
}

function checkBlocks(sim: Simulation): void {
  const { world, watch, owner } = sim
  const rows = world.files.flatMap((file) => file.streams.map((stream) => ({ file, stream, row: file.row(stream)! })))
  const removed = new Set(rows.filter(({ row }) => row.time_removal !== null).map(({ stream }) => stream))
  if (owner.hasRemoved) {
    removed.add("s")
    watch.removed.add("s")
  }
  for (const { file, stream, row } of rows)
    if (row.block !== null && !(row.block === "share_removed" && watch.removed.has(stream)))
      watch.fail(`I10 ${stream} of ${file.name} is blocked ${row.block} without a cause`)
  const [unremoved] = watch.posts.unremoved
  if (unremoved) watch.fail(unremoved)
  if (sim.forgotten) return
  for (const stream of removed) {
    const share = world.server.shareOf(world.refOf(stream).share_id)
    if (share !== "removed") watch.fail(`the share of ${stream} was removed and is ${share}`)
  }
}

/** No event of a host was applied twice, and what refers to an op got that op's result. */
function checkEffects(sim: Simulation): void {
  const { world, watch } = sim
  const [overtaken] = watch.overtaken
  if (overtaken) watch.fail(overtaken)
  const { effects, about } = world.server
  const twice = effects.filter((name, index) => effects.indexOf(name) !== index)
  // A service that forgot a rejection may apply at last what was recorded again long since; a restored outbox records again.
  if (twice.length > 0 && !sim.forgotten)
    watch.fail(`applied for an op and for its retry, or twice: ${twice.join(" ")}`)
  for (const host of sim.hosts)
    for (const [name, of] of host.about) {
      const told = about.get(name)
      if (told !== undefined && told !== of) watch.fail(`${name} is about ${of} and was told of ${told}`)
    }
}
