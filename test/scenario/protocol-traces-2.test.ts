/** What the second model found: superseded dependencies, removal that overtakes, a share that is unknown after a Grant. */
import { expect, test } from "bun:test"
import { inWorld, openWorld, type World } from "../../src/testing/world/world.ts"

const created = { creates: true }

// --- Coalescing

test(
  "chain rule: an op that depends on the op of its key does not replace it",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1", { key: "a" })
    a.record("2", { key: "a", dependsOn: [a.id("1")] })
    expect(await world.healed()).toEqual({ server: "1 2", A: "applied 1 2" })
  }),
)

test(
  "chain rule: an op is not replaced once another depends on what it replaced",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1 2", { key: "a" })
    a.record("3", { dependsOn: [a.id("1")] })
    a.record("4", { key: "a" })
    expect(await world.healed()).toEqual({ server: "2 3 4", A: "superseded 1, applied 2 3 4" })
  }),
)

test(
  "a superseded dependency is done: a copy that still has the older op gets its dependents applied",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1", { key: "a" })
    const b = a.copy("B")
    a.record("2", { key: "a" })
    await a.drained()
    b.record("3", { dependsOn: [b.id("1")] })
    expect(await world.healed()).toEqual({
      server: "2 3",
      A: "superseded 1, applied 2",
      B: "superseded 1, applied 3",
    })
  }),
)

test(
  "a rejected op still supersedes what it replaced: an older file shares its fate",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1", { key: "a" })
    const backup = a.backup()
    a.record("2", { key: "a", poison: true })
    await a.drained()
    a.restore(backup)
    expect(await world.healed()).toEqual({ server: "", A: "superseded 1" })
  }),
)

test(
  "an op that lists 64 replaced ones takes no more",
  inWorld(async (world) => {
    const a = world.client()
    const names = Array.from({ length: 70 }, (_, index) => `v${index}`)
    a.record(names.join(" "), { key: "a" })
    await a.drained()
    expect(world.server.effects).toEqual(["v64", "v69"])
    expect(world.server.batches[0]!.ops.map((op) => op.supersedes?.length)).toEqual([64, 4])
  }),
)

test(
  "an op of a unit of several is never replaced",
  inWorld(async (world) => {
    const a = world.client()
    a.unit("1 2", { key: "a" })
    a.record("3", { key: "a" })
    expect(await world.healed()).toEqual({ server: "1 2 3", A: "applied 1 2 3" })
  }),
)

// --- settled_op_id

test("C2: an op that an ack called superseded counts as settled, so that a rollback behind it is seen", async () => {
  // Not healed at the end: with a twin that superseded it, 1 is applied after all (C1, an exception of I4).
  await using world = await openWorld()
  const a = world.client()
  world.server.backup()
  a.record("1", { key: "a" })
  const b = a.copy("B")
  b.record("2", { key: "a" })
  b.outbox.pause()
  await a.posts("late")
  a.outbox.pause()
  b.outbox.resume()
  await b.drained()
  await world.net.arrive()
  a.outbox.resume()
  await a.drained()
  expect(a.stands).toBe("superseded 1")
  world.server.rollback()
  a.record("3")
  await a.drained()
  expect(world.trace).toContain("3 @1: server_reset")
})

test(
  "C3: a removal under the key of what it removes wins over an older put that a restore brought back",
  inWorld(async (world) => {
    const a = world.client()
    a.record("put", { key: "a" })
    const backup = a.backup()
    a.record("remove", { key: "a" })
    await a.drained()
    a.restore(backup)
    expect(await world.healed()).toEqual({ server: "remove", A: "superseded put" })
  }),
)

// --- Removal

for (const fate of ["lose request", "lose response", "late", "twice"] as const)
  test(
    `removal: ${fate} of the removal's own POST, and the share ends removed`,
    inWorld(async (world) => {
      const a = world.client()
      a.record("1")
      await a.drained()
      a.remove()
      await a.posts(fate)
      expect(await world.healed()).toEqual({ server: "1", A: "applied 1" })
      expect([world.server.share, a.events]).toEqual(["removed", ["removed"]])
    }, created),
  )

for (const cut of [0, 1, 2, 3])
  test(
    `removal: an outbox that never had a Grant leaves a tombstone although the server dies after ${cut} calls`,
    inWorld(async (world) => {
      const a = world.client()
      a.record("1")
      await a.posts("late")
      a.remove()
      await a.posts({ cut })
      await a.drained()
      await world.net.arrive()
      expect(await world.healed()).toEqual({ server: "", A: "discarded 1" })
      expect(world.server.share).toBe("removed")
    }, created),
  )

test(
  "removal: a batch on its way is answered, later ops are discarded, and none is sent after it",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    await a.posts("hold")
    a.record("2")
    a.remove()
    await world.net.release()
    expect(await world.healed()).toEqual({ server: "1", A: "applied 1, discarded 2" })
    expect(world.trace).toEqual(["hold", "1 @0: applied 1"])
  }, created),
)

test(
  "removal: an op whose ack was lost is discarded, and nothing of it changes anything afterwards",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    await a.posts("late")
    a.remove()
    await a.drained()
    await world.net.arrive()
    expect(await world.healed()).toEqual({ server: "", A: "discarded 1" })
  }, created),
)

test(
  "removal: of two copies one removes, the other ends under the block share_removed",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    await a.drained()
    const b = a.copy("B")
    a.remove()
    await a.drained()
    b.record("2")
    expect(await world.healed()).toEqual({
      server: "1",
      A: "applied 1",
      B: "applied 1, pending 2, block share_removed",
    })
  }, created),
)

test(
  "removal: both copies remove, and both streams are closed",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    const b = a.copy("B")
    a.remove()
    b.remove()
    expect(await world.healed()).toEqual({ server: "", A: "discarded 1", B: "discarded 1" })
  }, created),
)

test(
  "removal: the process dies between its recording and its answer, and the next one removes",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    await a.drained()
    a.remove()
    a.killAt("settle:before-commit")
    await world.until("death", () => a.killed)
    a.reopen()
    expect(await world.healed()).toEqual({ server: "1", A: "applied 1" })
    expect(a.row.time_closed).not.toBeNull()
  }, created),
)

test(
  "removal: a stream that stands under a block still removes its share",
  inWorld(async (world) => {
    const a = world.client("A", await attenuated(world))
    a.record("1")
    await a.drained()
    expect(a.stands).toBe("pending 1, block scope_denied")
    a.remove()
    expect(await world.healed()).toEqual({ server: "", A: "discarded 1" })
    expect(world.server.share).toBe("removed")
  }),
)

test(
  "removal: a block that an earlier POST's answer brings after the unshare does not stop the removal",
  inWorld(async (world) => {
    const a = world.client("A", await attenuated(world))
    a.record("1")
    await a.posts("hold")
    a.remove()
    await world.net.release()
    expect(await world.healed()).toEqual({ server: "", A: "discarded 1" })
    expect(world.server.share).toBe("removed")
  }),
)

test(
  "removal: share_unknown after a Grant is not done: the share is created and removed, so that a tombstone exists",
  inWorld(async (world) => {
    const a = world.client()
    world.server.backup()
    a.record("1")
    await a.posts("late", "deliver")
    world.server.rollback()
    a.remove()
    await a.drained()
    await world.net.arrive()
    expect([world.server.share, world.server.effects]).toEqual(["removed", []])
  }, created),
)

test(
  "removal: a tombstone lost in a rollback is set again when another stream meets the reset",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    const other = a.outbox.stream("other", world.freshRef(), { create: { session_id: "ses_2" } })
    other.record({ method: "put", args: ["x"] })
    await a.drained()
    world.server.backup()
    other.record({ method: "put", args: ["y"] })
    a.remove()
    await a.drained()
    world.server.rollback()
    expect(world.server.share).toBe("live")
    other.record({ method: "put", args: ["z"] })
    await a.drained()
    expect([world.server.share, world.server.effects]).toEqual(["removed", ["1", "x", "y", "z"]])
    expect(a.row.repeat_removal).toBe(0)
  }, created),
)

test(
  "removal: a rollback to before the share was made is followed by a new tombstone",
  inWorld(async (world) => {
    const a = world.client()
    const other = a.outbox.stream("other", world.freshRef(), { create: { session_id: "ses_2" } })
    world.server.backup()
    a.record("1")
    other.record({ method: "put", args: ["x"] })
    await a.drained()
    a.remove()
    await a.drained()
    world.server.rollback()
    other.record({ method: "put", args: ["y"] })
    await a.drained()
    expect([world.server.share, world.server.effects]).toEqual(["removed", ["x", "y"]])
  }, created),
)

// --- share_unknown after a Grant

test(
  "a lost share is created again alone, and the retained ops follow",
  inWorld(async (world) => {
    const a = world.client()
    world.server.backup()
    a.record("1 2")
    await a.drained()
    world.server.rollback()
    a.record("3")
    await a.posts("deliver", "lose response")
    expect([world.server.share, world.server.effects]).toEqual(["live", []])
    expect(await world.healed()).toEqual({ server: "1 2 3", A: "applied 1 2 3" })
    expect(a.events).toEqual(["server_reset"])
  }, created),
)

test(
  "a share lost twice is created twice",
  inWorld(async (world) => {
    const a = world.client()
    world.server.backup()
    a.record("1")
    await a.drained()
    world.server.rollback()
    a.record("2")
    await a.drained()
    world.server.rollback()
    a.record("3")
    expect(await world.healed()).toEqual({ server: "1 2 3", A: "applied 1 2 3" })
  }, created),
)

test(
  "a lost share is refilled by two copies, and no op is doubled",
  inWorld(async (world) => {
    const a = world.client()
    world.server.backup()
    a.record("1")
    await a.drained()
    const b = a.copy("B")
    world.server.rollback()
    a.record("2")
    b.record("3")
    expect(await world.healed()).toEqual({ server: "1 3 2", A: "applied 1 2", B: "applied 1 3" })
  }, created),
)

test(
  "another server at the address is noticed before a batch is sent there",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    await a.drained()
    world.server.replace()
    a.record("2")
    expect(await world.healed()).toEqual({ server: "", A: "applied 1, pending 2, block other_server" })
    expect(world.trace.at(-1)).toBe("server replaced")
  }, created),
)

test(
  "a lost share that this outbox did not create blocks the stream as share_unknown",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    await a.drained()
    world.server.replace()
    a.record("2")
    expect(await world.healed()).toEqual({ server: "", A: "applied 1, pending 2, block share_unknown" })
  }),
)

/** A ref that may remove the share and may not write to it. */
async function attenuated(world: World) {
  const { secret } = await world.server.asOwner((share) => share.attenuate({ scopes: ["read", "admin"] }))
  return { ...world.ref, secret }
}
