/** The 25 holes that the first model of the protocol found, each as the incident that it would have been. */
import { expect, test } from "bun:test"
import { SturdyError } from "../../src/intent/error.ts"
import { inWorld } from "../../src/testing/world/world.ts"

const created = { creates: true }

test(
  "1: a rejected op whose ack was lost comes back rejected, not applied",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1", { poison: true })
    await a.posts("lose response")
    expect(await world.healed()).toEqual({ server: "", A: "dead 1" })
    expect(world.trace).toEqual(["lose response", "1 @0: rejected 1 poison", "1 @0: rejected 1 poison"])
  }),
)

test(
  "2: a batch that straddles the cursor after a late request gets the register and goes through from there",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    const backup = a.backup()
    await a.posts("late")
    a.restore(backup)
    a.record("2")
    await world.net.arrive()
    await a.drained()
    expect(world.trace).toEqual([
      "late",
      "late request arrives",
      "1 @0: applied 1",
      "1 2 @0: gap",
      "1 2 @1: applied 2, duplicate 1",
    ])
  }),
)

test(
  "3: after a restore the second of two pipelined batches is not accepted where the counts match by chance",
  inWorld(async (world) => {
    const a = world.client()
    const backup = a.backup()
    a.record("1")
    await a.drained()
    a.restore(backup)
    a.record("2")
    await a.posts("lose request")
    a.record("3")
    await a.drained()
    expect(world.trace).toEqual([
      "1 @0: applied 1",
      "lose request",
      "2 @0: gap",
      "3 @1: gap",
      "2 @1: applied 2",
      "3 @2: applied 3",
    ])
  }),
)

test(
  "4: an op at the place of an op that was lost with the file is no duplicate of it",
  inWorld(async (world) => {
    const a = world.client()
    const backup = a.backup()
    a.record("1")
    await a.drained()
    a.restore(backup)
    a.record("2")
    await a.drained()
    expect(world.trace).toEqual(["1 @0: applied 1", "2 @0: gap", "2 @1: applied 2"])
    expect(a.events).toEqual(["twin"])
  }),
)

test(
  "5: a restored outbox sends an op again a year later and it is applied once",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    const backup = a.backup()
    a.record("2")
    await a.drained()
    world.clock.jump(365 * 24 * 3_600_000)
    world.server.restart()
    a.restore(backup)
    expect(await world.healed()).toEqual({ server: "1 2", A: "applied 1" })
  }),
)

test(
  "6: an outcome can still be asked for after a year: it never expires",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    a.record("2", { poison: true })
    await a.posts("lose response")
    a.kill()
    world.clock.jump(365 * 24 * 3_600_000)
    a.reopen()
    expect(await world.healed()).toEqual({ server: "1", A: "applied 1, dead 2" })
  }),
)

test(
  "7: a delayed request from before a restore changes nothing once newer ops were decided",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    const backup = a.backup()
    a.record("2")
    await a.drained()
    a.record("3")
    await a.posts("late")
    a.restore(backup)
    a.record("4")
    await a.drained()
    await world.net.arrive()
    expect(world.trace.slice(-2)).toEqual(["late request arrives", "3 @2: gap"])
    expect(world.server.effects).toEqual(["1", "2", "4"])
  }),
)

test(
  "8: a server that lost data and was refilled by a late request is not absorbed silently",
  inWorld(async (world) => {
    const a = world.client()
    const backup = a.backup()
    world.server.backup()
    a.record("1")
    await a.posts("late")
    a.restore(backup)
    a.record("2")
    await a.drained()
    world.server.rollback()
    await world.net.arrive()
    a.record("3")
    expect(await world.healed()).toEqual({ server: "1 2 3", A: "applied 2 3" })
    expect(a.events).toEqual(["twin", "server_reset"])
    expect(world.trace).toContain("3 @1: server_reset")
  }),
)

test(
  "9: two copies that both were restored share a writer and need no incarnation to agree on",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    await a.drained()
    const backup = a.backup()
    const b = a.copy("B")
    a.restore(backup)
    a.record("2")
    b.record("3")
    expect(await world.healed()).toEqual({ server: "1 3 2", A: "applied 1 2", B: "applied 1 3" })
    expect(new Set(world.server.batches.map((batch) => batch.writer_id)).size).toBe(1)
    expect(Object.keys(world.server.batches[0]!).sort()).toEqual(
      ["writer_id", "batch_id", "expected_cursor", "expected_head_op_id", "settled_op_id", "ops"].sort(),
    )
  }),
)

test(
  "10: a batch frozen before the epoch was raised goes through unchanged after it",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    await a.drained()
    a.record("2")
    await a.posts("lose request")
    await world.server.asOwner((share) => share.revokeCapability({}))
    expect(await world.healed()).toEqual({ server: "1 2", A: "applied 1 2" })
    expect(a.row.epoch).toBe(2)
  }),
)

test(
  "11: an op that is sent again at another place is a duplicate, not a conflict",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1 2")
    const backup = a.backup()
    await a.posts("lose response")
    a.restore(backup)
    a.record("3")
    await a.drained()
    expect(world.trace.slice(-2)).toEqual(["1 2 3 @0: gap", "1 2 3 @2: applied 3, duplicate 1 2"])
  }),
)

test(
  "12: ops that depend on a dead letter are sent and rejected by the server, and the next op is no server_reset",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1", { poison: true })
    await a.posts("lose response")
    a.record("2", { dependsOn: [a.id("1")] })
    await a.drained()
    a.record("3")
    expect(await world.healed()).toEqual({ server: "3", A: "dead 1 2, applied 3" })
    expect(world.trace).toContain("2 @1: rejected 2 dependency_rejected")
    expect(a.events).toEqual([])
  }),
)

test(
  "13: a late request to create a share does not bring it back after its removal",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    await a.posts("late")
    await a.drained()
    a.remove()
    await a.drained()
    await world.net.arrive()
    expect(world.server.share).toBe("removed")
    expect(world.server.effects).toEqual(["1"])
  }, created),
)

test(
  "14: an op that was replaced before it was sent is not applied when the file is restored to before that",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1", { key: "a" })
    a.record("2")
    const backup = a.backup()
    a.record("3", { key: "a" })
    await a.drained()
    a.restore(backup)
    expect(await world.healed()).toEqual({ server: "2 3", A: "superseded 1, applied 2" })
  }),
)

test(
  "15: a rollback is seen by a copy whose own op is gone although the head that it stands on is known again",
  inWorld(async (world) => {
    const a = world.client()
    world.server.backup()
    a.record("1")
    await a.drained()
    const b = a.copy("B")
    b.record("2")
    await b.drained()
    a.record("3")
    await a.drained()
    b.record("4")
    // The gap tells B of A's head 3; then the server is rolled back, and A sends 1 and 3 again.
    await b.posts("deliver", "lose request")
    world.server.rollback()
    a.record("5")
    await a.drained()
    expect(await world.healed()).toEqual({ server: "1 3 5 2 4", A: "applied 1 3 5", B: "applied 1 2 4" })
    // Twice a head of A's: 3 in the gap, 5 in the reset.
    expect(b.events).toEqual(["twin", "twin", "server_reset"])
  }),
)

test(
  "16: a duplicate of a rejected op is rejected, and an answer that lists it twice settles nothing",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    a.record("2", { poison: true })
    await a.posts("lose response", {
      change: (body) => body.replace(`"duplicates":[[`, `"duplicates":[["${a.id("2")}",`),
    })
    expect(a.stands).toBe("pending 1 2")
    expect(a.row.last_error).toBe("protocol")
    expect(await world.healed()).toEqual({ server: "1", A: "applied 1, dead 2" })
  }),
)

test(
  "17: two streams of one outbox to one share have a register each",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1 2")
    const other = a.outbox.stream("other", world.ref)
    other.record({ method: "put", args: ["x"] })
    await a.drained()
    expect(world.server.sql.all(`SELECT cursor FROM writer ORDER BY cursor`)).toEqual([{ cursor: 1 }, { cursor: 2 }])
  }),
)

for (const point of ["freeze:after-commit", "flush:before-post", "flush:after-post", "settle:before-commit"])
  test(
    `18: an op that died with its process at ${point} is frozen: a newer op of its key goes behind it`,
    inWorld(async (world) => {
      const a = world.client()
      a.record("1", { key: "a" })
      a.killAt(point)
      await world.until("death", () => a.killed)
      a.reopen()
      a.record("2", { key: "a" })
      expect(await world.healed()).toEqual({ server: "1 2", A: "applied 1 2" })
    }),
  )

test(
  "19: an op that replaces an older one takes the last place: what was recorded between them comes first",
  inWorld(async (world) => {
    const a = world.client()
    a.record("put-v1", { key: "a" })
    a.record("remove")
    a.record("put-v2", { key: "a" })
    await a.drained()
    expect(world.trace).toEqual(["remove put-v2 @0: applied remove put-v2"])
  }),
)

test(
  "20: a replaced op is superseded, and by which op is known",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1 2", { key: "a" })
    expect([a.state("1"), a.replacedBy("1")]).toEqual(["superseded", "2"])
    expect(await world.healed()).toEqual({ server: "2", A: "superseded 1, applied 2" })
  }),
)

test(
  "21: a reported server_reset is the one thing that makes settled ops pending again",
  inWorld(async (world) => {
    const a = world.client()
    world.server.backup()
    a.record("1")
    a.record("2", { poison: true })
    await a.drained()
    world.server.rollback()
    a.record("3")
    await a.posts("deliver", "lose request")
    expect(a.stands).toBe("pending 1 2 3")
    expect(await world.healed()).toEqual({ server: "1 3", A: "applied 1 3, dead 2" })
    expect([a.events, a.row.reset_count]).toEqual([["server_reset"], 1])
  }),
)

for (const cut of [0, 1, 2, 3])
  test(
    `22: a share is created, redeemed and written to in order when the server dies after ${cut} of the calls`,
    inWorld(async (world) => {
      const a = world.client()
      a.record("1")
      await a.posts({ cut })
      expect(world.server.share).toBe(cut === 0 ? "unknown" : "live")
      expect(world.server.effects).toEqual(cut === 3 ? ["1"] : [])
      expect(await world.healed()).toEqual({ server: "1", A: "applied 1" })
    }, created),
  )

test(
  "23: an id that somebody else took first blocks the stream and nothing is published there",
  inWorld(async (world) => {
    const { share_id } = world.ref
    await world.createShare({ ...world.ref, secret: "the-secret-of-a-squatter" })
    const a = world.client()
    a.record("1")
    expect(await world.healed()).toEqual({ server: "", A: "pending 1, block share_unknown" })
    const guessable = world.server.call((service) =>
      service.createShare({ share_id: share_id.slice(0, 15), secret: world.ref.secret, session_id: "ses_1" }),
    )
    expect(await guessable.catch((error: { code: string }) => error.code)).toBe("malformed")
  }, created),
)

test(
  "24: a unit that no batch can hold is refused when it is recorded, and nothing of it is written",
  inWorld(async (world) => {
    const a = world.client()
    const names = Array.from({ length: 101 }, (_, index) => `u${index}`)
    let code: unknown
    try {
      a.unit(names.join(" "))
    } catch (error) {
      code = error instanceof SturdyError && error.code
    }
    expect(code).toBe("unit_too_large")
    a.unit(names.slice(0, 100).join(" "))
    await a.drained()
    expect([world.trace.length, world.server.effects.length]).toEqual([1, 100])
  }),
)

test(
  "25: an unshare survives the death of the process that recorded it",
  inWorld(async (world) => {
    const a = world.client()
    a.record("1")
    await a.drained()
    a.remove()
    a.kill()
    a.reopen()
    await a.drained()
    expect(world.server.share).toBe("removed")
  }, created),
)
