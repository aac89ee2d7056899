/** Both ends tell different stories: restored, copied, rolled back, lost, doubled, late, killed. */
import { expect, test } from "bun:test"
import { inWorld, type World } from "../../src/testing/world/world.ts"

test(
  "lost request: sent again, applied once",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1 2")
    await a.posts("lose request", "lose request")
    expect(await world.healed()).toEqual({ server: "1 2", A: "applied 1 2" })
    expect(world.trace).toEqual(["lose request", "lose request", "1 2 @0: applied 1 2"])
  }),
)

test(
  "lost response: sent again with the same text, answered as duplicates",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1 2")
    await a.posts("lose response")
    a.record("3")
    expect(await world.healed()).toEqual({ server: "1 2 3", A: "applied 1 2 3" })
    expect(world.trace).toEqual(["lose response", "1 2 @0: applied 1 2", "1 2 @0: duplicate 1 2", "3 @2: applied 3"])
    const [first, second] = world.server.batches
    expect(second).toEqual(first!)
  }),
)

test(
  "doubled request: the second changes nothing",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1 2")
    await a.posts("twice")
    expect(await world.healed()).toEqual({ server: "1 2", A: "applied 1 2" })
    expect(world.trace).toEqual(["twice", "1 2 @0: applied 1 2", "1 2 @0: duplicate 1 2"])
  }),
)

test(
  "late request: it lands after newer ones and changes nothing",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    await a.posts("late")
    a.record("2")
    await a.drained()
    await world.net.arrive(0, { keep: true })
    a.record("3")
    await a.drained()
    await world.net.arrive()
    expect(world.server.effects).toEqual(["1", "2", "3"])
    expect(world.trace.filter((line) => line.startsWith("1 @0"))).toEqual([
      "1 @0: applied 1",
      "1 @0: duplicate 1",
      "1 @0: duplicate 1",
    ])
  }),
)

test(
  "late request: it lands before the retry, which is answered as a duplicate",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    await a.posts("late")
    await world.net.arrive()
    expect(await world.healed()).toEqual({ server: "1", A: "applied 1" })
  }),
)

test(
  "the server dies between two batches of one POST: the rest follows in order",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    await a.posts("lose request")
    a.record("2", { poison: true })
    // redeemShare and the first appendOps
    await a.posts({ cut: 2 })
    expect(world.server.effects).toEqual(["1"])
    expect(await world.healed()).toEqual({ server: "1", A: "applied 1, dead 2" })
  }),
)

for (const [point, after] of [
  ["service: before commit", { effects: [], writers: [], outcomes: [] }],
  ["service: after commit", { effects: ["1"], writers: [{ cursor: 2 }], outcomes: ["applied", "rejected"] }],
] as const)
  test(
    `the server dies at "${point}": outcomes, effects and register are all there or none is`,
    inWorld(async (world) => {
      const a = world.client()
      a.record("1")
      a.record("2", { poison: true })
      world.server.killAt = point
      await a.posts("deliver")
      world.server.restart()
      const { effects, outcomes, sql } = world.server
      const writers = sql.all<{ cursor: number }>(`SELECT cursor FROM writer`)
      expect<unknown>({ effects, writers, outcomes: [...outcomes.values()].sort() }).toEqual(after)
      expect(await world.healed()).toEqual({ server: "1", A: "applied 1, dead 2" })
    }),
  )

test(
  "an ack behind a refusal settles nothing: the op before it would be passed over with an outcome that nobody knows",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1", { poison: true })
    await a.posts("lose request")
    a.record("2")
    // Both batches are decided; the answer of the first arrives as a refusal.
    const change = (body: string) => body.replace(/\{"batch_id".*/, `{"refused":"busy","message":"full"}]`)
    await a.posts({ change })
    expect([a.stands, a.row.last_error]).toEqual(["pending 1 2", "busy"])
    expect(await world.healed()).toEqual({ server: "2", A: "dead 1, applied 2" })
  }),
)

test(
  "restored outbox: what it lost stays at the server, what it sends again is answered, what is new follows",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    await a.drained()
    a.record("2")
    const backup = a.backup()
    a.record("3 4")
    await a.drained()
    a.restore(backup)
    a.record("5")
    expect(await world.healed()).toEqual({ server: "1 2 3 4 5", A: "applied 1 2 5" })
    expect([a.events, a.row.twin_count]).toEqual([["twin"], 1])
  }),
)

test(
  "restored outbox: dead letters come back as they were",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1", { poison: true })
    const backup = a.backup()
    await a.drained()
    a.restore(backup)
    expect(await world.healed()).toEqual({ server: "", A: "dead 1" })
  }),
)

test(
  "copied outbox: two copies that take turns need at most one POST more per flush",
  inWorld(async (world) => {
    const a = world.client()
    const b = a.copy("B")
    const { posts } = world.net
    for (let turn = 0; turn < 100; turn++) {
      const client = turn % 2 ? b : a
      client.record(`${turn}`)
      await client.drained()
    }
    expect(world.server.effects).toEqual(Array.from({ length: 100 }, (_, turn) => `${turn}`))
    expect(world.net.posts - posts).toBeLessThanOrEqual(199)
  }),
)

test(
  "copied outbox: both send at the same time, and each op is applied once",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    const b = a.copy("B")
    a.record("2")
    b.record("3")
    world.net.script("A", ["hold"])
    world.net.script("B", ["hold"])
    await world.until("both POSTs", () => world.net.held.length === 2)
    await world.net.release(1)
    await world.net.release(0)
    expect(await world.healed()).toEqual({ server: "1 3 2", A: "applied 1 2", B: "applied 1 3" })
  }),
)

test(
  "copied outbox: the first gap is followed by the same batches at once, also when the attempt before had failed",
  inWorld(async (world) => {
    const a = world.client()
    const b = a.copy("B")
    a.record("1")
    await a.posts("lose request")
    b.record("2")
    await b.drained()
    const failed: number[] = []
    a.outbox.on("failed", ({ next_attempt_at }) => failed.push(next_attempt_at - world.clock.now()))
    await a.drained()
    expect(world.trace.slice(-2)).toEqual(["1 @0: gap", "1 @1: applied 1"])
    expect(failed).toEqual([0])
  }),
)

test(
  "server rolled back, all retained: everything is sent again in its old order",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    await a.drained()
    world.server.backup()
    a.record("2")
    await a.drained()
    a.record("3")
    await a.drained()
    world.server.rollback()
    a.record("4")
    expect(await world.healed()).toEqual({ server: "1 2 3 4", A: "applied 1 2 3 4" })
    expect(a.events).toEqual(["server_reset"])
  }),
)

test(
  "server rolled back to what an outbox has pruned: the retained ops follow and no block stands",
  inWorld(async (world) => {
    const a = await pruned(world)
    world.server.backup()
    a.record("late-1")
    await a.drained()
    world.server.rollback()
    a.record("late-2")
    await a.drained()
    expect([a.events, a.row.block]).toEqual([["server_reset"], null])
    expect(world.server.effects.slice(-2)).toEqual(["late-1", "late-2"])
  }),
  60_000,
)

test(
  "server rolled back beyond what an outbox retains: it blocks as server_reset and sends nothing out of order",
  inWorld(async (world) => {
    world.server.backup()
    const a = await pruned(world)
    world.server.rollback()
    a.record("after")
    await a.drained()
    expect([a.row.block, world.server.effects]).toEqual(["server_reset", []])
    expect(a.state("after")).toBe("pending")
  }),
  60_000,
)

test(
  "server restarted between two POSTs: it knows what it decided",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    await a.posts("lose response")
    world.server.restart()
    a.record("2")
    expect(await world.healed()).toEqual({ server: "1 2", A: "applied 1 2" })
  }),
)

test(
  "a zombie that was overtaken settles nothing: its late answer finds another term",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    await a.posts("hold")
    a.kill()
    a.reopen()
    await a.drained()
    expect(await world.healed()).toEqual({ server: "1", A: "applied 1" })
    expect(world.trace).toEqual(["hold", "1 @0: applied 1", "1 @0: duplicate 1"])
  }),
)

test(
  "a removal that is repeated after a rollback, and meets an expired capability, goes on with another one",
  inWorld(async (world) => {
    const a = world.client()
    await world.createShare(world.refOf("t"))
    a.record("1")
    a.record("2", { stream: "t" })
    await a.drained()
    const input = { scopes: ["read", "append", "admin"], expires_at: world.clock.now() + 5_000 }
    const { secret } = await world.server.asOwner((share) => share.attenuate(input))
    a.stream.unblock({ secret })
    world.server.backup()
    a.record("3", { stream: "t" })
    await a.drained()
    a.remove()
    await a.drained()
    world.clock.turn(6_000)
    world.server.rollback()
    // Another stream of the same service meets the reset.
    a.record("4", { stream: "t" })
    await a.drained()
    await world.until("the removal is blocked", () => a.row.block !== null)
    expect([world.server.share, a.row.block]).toEqual(["live", "expired"])
    expect(a.stream.unblock({ secret: world.ref.secret })).toBe(true)
    await a.drained()
    expect([world.server.share, a.row.block]).toEqual(["removed", null])
  }),
)

/** A client that has pruned its oldest batch: a thousand newer ops, and more than 7 days. */
async function pruned(world: World) {
  const a = world.client()
  for (let batch = 0; batch < 12; batch++)
    a.unit(Array.from({ length: 100 }, (_, index) => `${batch}-${index}`).join(" "))
  await a.drained()
  world.clock.jump(8 * 24 * 3_600_000)
  a.record("week-later")
  await a.drained()
  expect(a.row.pruned_op_id).not.toBeNull()
  return a
}
