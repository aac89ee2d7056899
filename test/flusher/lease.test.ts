/** Several processes on one outbox file: all record, one sends. */
import { expect, test } from "bun:test"
import * as limit from "../../src/intent/limit.ts"
import { openOutbox } from "../../src/outbox.ts"
import { fail, fixedRandom, hold, openBox, record, type Box } from "./box.ts"
import { ScopedDatabase } from "../scoped-database.ts"

function lease(box: Box) {
  using db = new ScopedDatabase(box.dir.file(), { readonly: true })
  return db.query("select term, owner, time_expires, pid from sturdy_lease").get() as {
    term: number
    owner: string
    time_expires: number
    pid: number
  }
}

/** Somebody else holds the lease, until then. */
function heldBy(box: Box, holder: { host: string; pid: number; expires_in_ms: number }) {
  using db = new ScopedDatabase(box.dir.file())
  db.run(
    `insert into sturdy_lease (id, term, owner, host, boot_id, pid, pid_started, time_expires)
     values (1, 7, 'somebody_else_0000', ?1, ?2, ?3, '1', ?4)
     on conflict (id) do update set term = 7, owner = 'somebody_else_0000', host = ?1, boot_id = ?2, pid = ?3,
       pid_started = '1', time_expires = ?4`,
    [holder.host, "another_boot", holder.pid, box.clock.now() + holder.expires_in_ms],
  )
}

test("the lease is taken to send and given back when there is nothing left to send", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const seen: boolean[] = []
  outbox.on("lease", ({ held }) => seen.push(held))
  record(box.stream(outbox), "1")
  await box.run(outbox.flush())
  await box.turn(100)
  expect(seen).toEqual([true, false])
  expect(lease(box)).toMatchObject({ term: 1, time_expires: 0 })
})

test("who does not hold the lease sends nothing, looks every second, and takes over after its expiry", async () => {
  await using box = await openBox()
  const outbox = box.open()
  await box.calm()
  heldBy(box, { host: "another_host", pid: 1, expires_in_ms: limit.lease_ms })
  record(box.stream(outbox), "1")
  await box.turn(limit.lease_ms - 100)
  expect(box.sent).toEqual([])
  await box.turn(limit.poll_ms + 200)
  expect(box.effects).toEqual(["1"])
  expect(lease(box).term).toBe(8)
})

test("a lease that is renewed is left to its holder", async () => {
  await using box = await openBox()
  const outbox = box.open()
  await box.calm()
  record(box.stream(outbox), "1")
  for (let n = 0; n < 12; n++) {
    heldBy(box, { host: "another_host", pid: 1, expires_in_ms: limit.lease_ms })
    await box.turn(3_000, 500)
  }
  expect(box.sent).toEqual([])
})

test("the holder renews: its lease does not expire during a long outage", async () => {
  await using box = await openBox()
  const outbox = box.open()
  box.always(fail("refused"))
  record(box.stream(outbox), "1")
  await box.turn(60_000, 500)
  expect(lease(box)).toMatchObject({ term: 1 })
  expect(lease(box).time_expires).toBeGreaterThan(box.clock.now())
})

test("a renewal that meets a lock is no fault, and comes about within a second after it", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const held = hold()
  box.fates.push(held.fate)
  record(box.stream(outbox), "1")
  await box.turn(100)
  const first = lease(box).time_expires
  using other = new ScopedDatabase(box.dir.file())
  other.run("begin immediate")
  // The box makes every fault an error.
  await box.turn(limit.lease_ms / 2, 500)
  other.run("rollback")
  await box.turn(1_000)
  expect(lease(box)).toMatchObject({ term: 1 })
  expect(lease(box).time_expires).toBeGreaterThan(first + limit.lease_ms / 2)
  held.release()
  await box.run(outbox.flush())
})

test("a holder whose lease was taken over settles nothing, stops, and gets its turn again", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const told: string[] = []
  outbox.on("acked", ({ stream }) => told.push(stream))
  const [intent] = record(box.stream(outbox), "1")
  const op_id = outbox.opId(intent!)
  box.fates.push(async (deliver) => {
    const answer = await deliver()
    heldBy(box, { host: "another_host", pid: 1, expires_in_ms: 3_000 })
    return answer
  })
  await box.turn(1_000)
  expect([box.state(op_id), told]).toEqual([["in_flight"], []])
  await box.turn(4_000)
  expect([box.state(op_id), told]).toEqual([["acked"], ["s"]])
  // The second time it was known already.
  expect(box.effects).toEqual(["1"])
})

test("who holds the lease for a stream in backoff also sends what another process records, within a second", async () => {
  await using box = await openBox({ random: fixedRandom(0.9) })
  box.always(async (deliver, request) => (request.url.includes("dead") ? fail("refused")(deliver, request) : deliver()))
  const holder = box.open({ retryDelayMsMin: 60_000 })
  record(box.stream(holder, "dead", box.freshRef("dead.example")), "x")
  await box.turn(5_000, 500)
  expect(box.sent).toHaveLength(1)
  const other = box.openBeside()
  record(box.stream(other), "1")
  await box.turn(limit.poll_ms + 100)
  expect(box.effects).toEqual(["1"])
  expect(lease(box).term).toBe(1)
})

test.each(["a POST on its way", "a stream in backoff"])(
  "paused with %s, a process gives the lease back, and another goes on",
  async (what) => {
    await using box = await openBox({ random: fixedRandom(0.9) })
    box.fates.push(what === "a stream in backoff" ? fail("refused") : hold().fate)
    const first = box.open({ retryDelayMsMin: 60_000 })
    const stream = box.stream(first)
    record(stream, "1")
    await box.turn(100)
    expect(box.sent).toHaveLength(1)
    first.pause()
    await box.calm()
    expect(lease(box).time_expires).toBe(0)
    const second = box.openBeside()
    record(box.stream(second), "2")
    // A backoff is the stream's, not the process's: it is waited out.
    expect(await box.run(second.flush())).toEqual({ settled: true, blocked: [] })
    expect(box.effects).toEqual(["1", "2"])
    expect(first.stream("s").status().pending).toBe(0)
  },
)

test("what is recorded by a paused process is sent by another", async () => {
  await using box = await openBox()
  const paused = box.open()
  paused.pause()
  const other = box.openBeside()
  record(box.stream(paused), "1")
  await box.run(other.flush())
  expect(box.effects).toEqual(["1"])
})

test("what a process recorded before it died is sent by one that is open and has nothing of its own to say", async () => {
  await using box = await openBox()
  const idle = box.open()
  await box.turn(1_000)
  const dying = box.openBeside()
  dying.pause()
  record(box.stream(dying), "1")
  await box.turn(limit.lease_ms + 1_000, 500)
  expect(box.effects).toEqual(["1"])
  expect(idle.stream("s").status().pending).toBe(0)
})

test("a lease that could not be given back, since the file was locked, is taken again when there is something to send", async () => {
  await using box = await openBox()
  const outbox = openOutbox(box.dir.file(), {
    seams: box.seams,
    transport: (request) => boxTransport(box, request.body),
  })
  using other = new ScopedDatabase(box.dir.file())
  // Another process writes from the moment in which everything is settled until the lease would have been freed.
  const stop = outbox.on("drained", () => {
    stop()
    other.run("begin immediate")
  })
  record(box.stream(outbox), "1")
  await box.turn(500)
  other.run("rollback")
  expect(lease(box).time_expires).toBeGreaterThan(0)
  record(box.stream(outbox), "2")
  await box.turn(500)
  expect(box.effects).toEqual(["1", "2"])
  await box.run(outbox.close())
})

test("what a killed process left is sent by the next at once, without waiting for its lease", async () => {
  await using box = await openBox()
  const file = box.dir.file()
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/holder-fixture.ts`, file, JSON.stringify(box.ref)], {
    stdout: "pipe",
  })
  const { value } = await child.stdout.getReader().read()
  expect(new TextDecoder().decode(value).trim()).toBe("sending")
  child.kill("SIGKILL")
  await child.exited
  const outbox = openOutbox(file, { transport: (request) => boxTransport(box, request.body) })
  expect(await outbox.flush()).toEqual({ settled: true, blocked: [] })
  await outbox.close()
  expect(box.effects).toEqual(["1"])
  expect(lease(box).term).toBe(2)
})

async function boxTransport(box: Box, body: string) {
  const response = await box.service.fetch(new Request(box.ref.service, { method: "POST", body }))
  return { status: response.status, retry_after: null, content_type: null, body: await response.text() }
}
