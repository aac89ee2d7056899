/** Dead letters that are retried or given up while processes die, outboxes are copied and servers forget. */
import { expect, test } from "bun:test"
import { derivedOpId } from "../../src/store/dead-letter.ts"
import type { Client } from "../../src/testing/world/client.ts"
import { inWorld, openWorld } from "../../src/testing/world/world.ts"

/** 1 is rejected; 2 depends on it, 3 on that. */
async function cascade(client: Client): Promise<void> {
  client.record("1", { poison: true })
  client.record("2", { dependsOn: [client.id("1")] })
  client.record("3", { dependsOn: [client.id("2")] })
  await client.drained()
}

test("a process dies at any point of a retry and of what follows: all of it is recorded or nothing, and each op is applied once", async () => {
  const dry = await openWorld()
  const points = await livesOf(dry, [])
  await dry[Symbol.asyncDispose]()
  expect(points).toContain("retry:before-commit")
  for (let at = 1; at <= points.length; at++) {
    await using world = await openWorld()
    await livesOf(world, [at])
  }
})

/** Returns the crash points of the process that retries. */
async function livesOf(world: Awaited<ReturnType<typeof openWorld>>, deaths: number[]): Promise<string[]> {
  const a = world.client()
  await cascade(a)
  world.server.app.mended = true
  a.kill()
  a.deaths = deaths
  a.crashPoints = []
  await a.survives(async () => {
    const dead = a.undecided()
    expect([dead, a.row.dead_count]).toEqual(dead.length ? [["1", "2", "3"], 3] : [[], 0])
    if (dead.length) a.retry("1")
    await a.drained()
  })
  const points = a.crashPoints
  a.spare()
  // Whoever died after the commit did not hear the names: they follow from what was retried.
  const ids = ["1", "2", "3"].map((name) => derivedOpId(a.id(name), 1))
  a.recorded = [...new Set([...a.recorded, ...ids])]
  for (const [index, op_id] of ids.entries()) world.rename(op_id, `${index + 1}'`)
  expect(await world.healed()).toEqual({ server: "1 2 3", A: "dead 1 2 3, applied 1' 2' 3'" })
  expect(a.row.dead_count).toBe(0)
  return points
}

test("a process dies at either point of a discard: all are given up or none", async () => {
  for (const point of ["discard:before-commit", "discard:after-commit"]) {
    await using world = await openWorld()
    const a = world.client()
    await cascade(a)
    a.killAt(point)
    expect(() => a.stream.discard(a.id("2"))).toThrow()
    a.reopen()
    const committed = point === "discard:after-commit"
    expect([a.undecided(), a.row.dead_count]).toEqual(committed ? [["1"], 1] : [["1", "2", "3"], 3])
    expect(await world.healed()).toEqual({ server: "", A: "dead 1 2 3" })
  }
})

test(
  "two copies of one outbox that both retry record the same ops, and each is applied once",
  inWorld(async (world) => {
    const a = world.client()
    await cascade(a)
    const b = a.copy("B")
    world.server.app.mended = true
    expect([a.retry("1"), b.retry("1")]).toEqual([
      ["1'", "2'", "3'"],
      ["1'", "2'", "3'"],
    ])
    expect(await world.healed()).toEqual({
      server: "1 2 3",
      A: "dead 1 2 3, applied 1' 2' 3'",
      B: "dead 1 2 3, applied 1' 2' 3'",
    })
  }),
)

test(
  "two copies that retry the dead letters on which one op depends, each in its own order, apply it once",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1 2", { poison: true })
    a.record("3", { dependsOn: [a.id("1"), a.id("2")] })
    await a.drained()
    const b = a.copy("B")
    world.server.app.mended = true
    expect([a.retry("1"), a.retry("2")]).toEqual([["1'"], ["2'", "3'"]])
    expect([b.retry("2"), b.retry("1")]).toEqual([["2'"], ["1'", "3'"]])
    b.outbox.pause()
    await a.drained()
    b.outbox.resume()
    // Each copy has an order of its own for the two; there can be but one at the server.
    b.recorded = [...a.recorded]
    expect(await world.healed()).toEqual({
      server: "1 2 3",
      A: "dead 1 2 3, applied 1' 2' 3'",
      B: "dead 1 2 3, applied 1' 2' 3'",
    })
  }),
)

test(
  "a copy whose twin retried twice catches up through the same ids",
  inWorld(async (world) => {
    const a = world.client()
    await cascade(a)
    const b = a.copy("B")
    a.retry("1")
    await a.drained()
    world.server.app.mended = true
    expect(a.retry("1'")).toEqual(["1''", "2''", "3''"])
    await a.drained()
    expect(b.retry("1")).toEqual(["1'", "2'", "3'"])
    await b.drained()
    expect(b.stands).toBe("dead 1 2 3 1' 2' 3'")
    expect(b.retry("1'")).toEqual(["1''", "2''", "3''"])
    expect((await world.healed()).server).toBe("1 2 3")
  }),
)

test(
  "a restored outbox that retries once more meets its own retry as a duplicate",
  inWorld(async (world) => {
    const a = world.client()
    await cascade(a)
    const backup = a.backup()
    world.server.app.mended = true
    a.retry("1")
    await a.drained()
    a.restore(backup)
    expect(a.undecided()).toEqual(["1", "2", "3"])
    a.retry("1")
    expect(await world.healed()).toEqual({ server: "1 2 3", A: "dead 1 2 3, applied 1' 2' 3'" })
  }),
)

test("a retry whose answer is lost, doubled or late is applied once", async () => {
  for (const fate of ["lose request", "lose response", "twice", "late"] as const) {
    await using world = await openWorld()
    const a = world.client()
    await cascade(a)
    world.server.app.mended = true
    a.retry("1")
    await a.posts(fate)
    expect(await world.healed()).toEqual({ server: "1 2 3", A: "dead 1 2 3, applied 1' 2' 3'" })
  }
})

test(
  "a server_reset sends retried ops again, and what was decided stays decided",
  inWorld(async (world) => {
    const a = world.client()
    world.server.backup()
    a.record("0")
    a.record("4", { poison: true })
    await cascade(a)
    a.stream.discard(a.id("4"))
    a.retry("1")
    await a.drained()
    expect([a.undecided(), a.row.dead_count]).toEqual([["1'", "2'", "3'"], 3])
    world.server.rollback()
    a.record("5")
    expect(await world.healed()).toEqual({ server: "0 5", A: "applied 0 5, dead 4 1 2 3 1' 2' 3'" })
    expect([a.undecided(), a.row.dead_count, a.events]).toEqual([["1'", "2'", "3'"], 3, ["server_reset"]])
    expect(() => a.stream.retry(a.id("1"))).toThrow("was retried as")
  }),
)

test(
  "an op that a server_reset brought back and that the mended server applied is no dead letter any more",
  inWorld(async (world) => {
    const a = world.client()
    world.server.backup()
    await cascade(a)
    a.stream.discard(a.id("1"))
    world.server.rollback()
    world.server.app.mended = true
    a.record("4")
    expect(await world.healed()).toEqual({ server: "1 2 3 4", A: "applied 1 2 3 4" })
    expect(() => a.stream.retry(a.id("1"))).toThrow("is applied, no dead letter")
  }),
)

test(
  "while a server_reset has it pending again, a decided dead letter is pending and can be neither retried nor discarded",
  inWorld(async (world) => {
    const a = world.client()
    world.server.backup()
    await cascade(a)
    a.stream.discard(a.id("1"))
    world.server.rollback()
    a.record("4")
    await a.posts("deliver", "late")
    a.outbox.pause()
    expect(a.stands).toBe("pending 1 2 3 4")
    expect(() => a.stream.discard(a.id("1"))).toThrow("is pending, no dead letter")
    a.outbox.resume()
    expect(await world.healed()).toEqual({ server: "4", A: "dead 1 2 3, applied 4" })
  }),
)
