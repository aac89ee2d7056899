/** The real client and the real service through every fault: nothing is lost, doubled or out of order. */
import { describe, expect, test } from "bun:test"
import type { ConnectionFate, ExchangeFate } from "../../src/testing/fault-proxy/index.ts"
import { mulberry32 } from "../../src/testing/mulberry32.ts"
import { openProxied, serveWithEffects } from "./proxied.ts"

async function openWorld() {
  const server = serveWithEffects()
  const proxied = await openProxied(server.service.url)
  const { stream, ref } = proxied.stream()
  const failed: string[] = []
  proxied.outbox.on("failed", ({ code, outcome }) => failed.push(`${code}, ${outcome}`))
  return {
    proxy: proxied.proxy,
    outbox: proxied.outbox,
    stream,
    server,
    newStream: proxied.stream,
    /** Attempts that failed: code and outcome of each. */
    failed,
    /** Records two ops that are applied and one between them that is rejected, in one batch. */
    record: () =>
      proxied.outbox.unit(() => {
        stream.record({ method: "put", args: ["a"] })
        stream.record({ method: "poison", args: ["b"] })
        stream.record({ method: "put", args: ["c"] })
      }),
    effects: () => server.effects(ref),
    outcome() {
      const { pending, dead, block } = stream.status()
      return { effects: server.effects(ref), pending, dead, block: block?.reason }
    },
    async [Symbol.asyncDispose]() {
      await proxied[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

const settled = { effects: ["a", "c"], pending: 0, dead: 1, block: undefined }

test.each<[ExchangeFate, string[]]>([
  [{ fault: "none" }, []],
  [{ fault: "delay_request", delay_ms: 3 }, []],
  [{ fault: "delay_response", delay_ms: 3 }, []],
  [{ fault: "cut_request", at: 0, by: "fin" }, ["connection_lost, unknown"]],
  [{ fault: "cut_request", at: 700, by: "rst" }, ["connection_lost, unknown"]],
  [{ fault: "cut_response", at: 0, by: "rst" }, ["connection_lost, unknown"]],
  [{ fault: "cut_response", at: 400, by: "fin" }, ["connection_lost, unknown"]],
  [{ fault: "truncate_request", bytes: 300 }, ["http_400, unknown"]],
  [{ fault: "truncate_response", bytes: 0 }, ["answer_missing, unknown"]],
  [{ fault: "duplicate_request" }, []],
  [{ fault: "duplicate_request", second: "together" }, []],
  [{ fault: "duplicate_response" }, []],
  [{ fault: "throttle_request", bytes: 100 }, []],
  [{ fault: "throttle_response", bytes: 100 }, []],
  [{ fault: "status", status: 503, retry_after: 0 }, ["http_503, unknown"]],
  [{ fault: "status", status: 504, forwarded: true }, ["http_504, unknown"]],
])("through %p everything is settled once, in order", async (fate, failures) => {
  await using world = await openWorld()
  world.proxy.next(fate)
  world.record()
  await world.outbox.flush()
  expect(world.outcome()).toEqual(settled)
  expect(world.failed).toEqual(failures)
  await world.proxy.exchanges[0]!.ended
  expect(world.effects()).toEqual(["a", "c"])
  // Exactly the POSTs that are needed: nothing is sent twice by itself.
  expect(world.proxy.exchanges).toHaveLength(1 + failures.length)
})

test.each<[ExchangeFate]>([
  [{ fault: "redirect", location: "http://127.0.0.1:9/" }],
  [{ fault: "page" }],
  [{ fault: "status", status: 404 }],
])("through %p the stream is blocked and keeps all; unblocked, it goes on", async (fate) => {
  await using world = await openWorld()
  world.proxy.next(fate)
  world.record()
  expect(await world.outbox.flush()).toMatchObject({ settled: false })
  expect(world.outcome()).toEqual({ effects: [], pending: 3, dead: 0, block: "unsupported" })
  world.stream.unblock()
  await world.outbox.flush()
  expect(world.outcome()).toEqual(settled)
})

describe("a client that gave up its attempt", () => {
  test.each<[ExchangeFate["fault"], number]>([
    ["drop_request", 0],
    ["drop_response", 2],
  ])("%s: it sends the same again", async (fault, effects) => {
    await using world = await openWorld()
    world.proxy.next({ fault } as ExchangeFate)
    world.record()
    const exchange = await world.proxy.arrived(1)
    await exchange.ended
    expect(world.effects()).toHaveLength(effects)
    world.proxy.cut("rst")
    await world.outbox.flush()
    expect(world.outcome()).toEqual(settled)
    expect(world.failed).toEqual(["connection_lost, unknown"])
  })

  test.each<[ExchangeFate["fault"], number]>([
    ["hold_request", 1],
    ["hold_response", 1],
  ])("%s: what arrives late, behind newer ones, changes nothing", async (fault, delivered) => {
    await using world = await openWorld()
    world.proxy.next({ fault } as ExchangeFate)
    world.record()
    const late = await world.proxy.arrived(1)
    await late.held
    world.proxy.cut("rst")
    await world.outbox.flush()
    world.stream.record({ method: "put", args: ["d"] })
    await world.outbox.flush()
    late.release()
    await late.ended
    expect(late.delivered).toBe(delivered)
    world.stream.record({ method: "put", args: ["e"] })
    await world.outbox.flush()
    expect(world.outcome()).toEqual({ ...settled, effects: ["a", "c", "d", "e"] })
  })
})

test("a copy of a request that arrives behind newer ones changes nothing", async () => {
  await using world = await openWorld()
  world.proxy.next({ fault: "duplicate_request", second: "released" })
  world.record()
  await world.outbox.flush()
  world.stream.record({ method: "put", args: ["d"] })
  await world.outbox.flush()
  const [first] = world.proxy.exchanges
  first!.release()
  await first!.ended
  expect(first!.delivered).toBe(2)
  world.stream.record({ method: "put", args: ["e"] })
  await world.outbox.flush()
  expect(world.outcome()).toEqual({ ...settled, effects: ["a", "c", "d", "e"] })
})

test.each<[ConnectionFate["fault"]]>([["refuse"], ["close"]])("%s: the next connection carries it", async (fault) => {
  await using world = await openWorld()
  world.proxy.nextConnection({ fault } as ConnectionFate, { fault } as ConnectionFate)
  world.record()
  await world.outbox.flush()
  expect(world.outcome()).toEqual(settled)
  expect(world.failed).toHaveLength(2)
  expect(world.proxy.connections).toBe(3)
})

test("silence: what the proxy never took on is sent again once the connection breaks", async () => {
  await using world = await openWorld()
  world.proxy.nextConnection({ fault: "silence" })
  const sent = new Promise<void>((resolve) => void world.outbox.on("sent", () => resolve()))
  world.record()
  await sent
  while (world.proxy.connections === 0) await new Promise((resolve) => setImmediate(resolve))
  world.proxy.cut("fin")
  await world.outbox.flush()
  expect(world.outcome()).toEqual(settled)
  expect(world.proxy.exchanges).toHaveLength(1)
})

test("down: refused attempts were not sent; when it is up again everything goes", async () => {
  await using world = await openWorld()
  await world.proxy.down()
  const refused = new Promise<string>((resolve) => {
    world.outbox.on("failed", ({ code, outcome }) => resolve(`${code}, ${outcome}`))
  })
  world.record()
  expect(await refused).toBe("refused, not_sent")
  await world.proxy.up()
  await world.outbox.flush()
  expect(world.outcome()).toEqual(settled)
})

/** Fates that pass by themselves and block nothing, as one byte of an answer would: it is not of Cap'n Web. */
function drawFate(random: () => number): ExchangeFate {
  const below = (n: number) => Math.floor(random() * n)
  const by = below(2) === 0 ? "fin" : "rst"
  const fates: ExchangeFate[] = [
    { fault: "none" },
    { fault: "delay_request", delay_ms: below(4) },
    { fault: "delay_response", delay_ms: below(4) },
    { fault: "cut_request", at: below(1_500), by },
    { fault: "cut_response", at: below(1_000), by },
    { fault: "truncate_request", bytes: below(1_000) },
    { fault: "truncate_response", bytes: 2 + below(700) },
    { fault: "duplicate_request", second: below(2) === 0 ? "after" : "together" },
    { fault: "duplicate_response" },
    { fault: "throttle_request", bytes: 200 + below(400) },
    { fault: "throttle_response", bytes: 200 + below(400) },
    { fault: "status", status: [408, 429, 500, 502, 503][below(5)]!, retry_after: 0, forwarded: below(2) === 0 },
  ]
  return fates[below(fates.length)]!
}

test.each([1, 2, 3, 4])(
  "three streams through 100 exchanges of random fates, seed %d: each op once, in order",
  async (seed) => {
    await using world = await openWorld()
    const random = mulberry32(seed)
    world.proxy.next(...Array.from({ length: 100 }, () => drawFate(random)))
    const connections: ConnectionFate["fault"][] = ["refuse", "close", "none", "none", "none"]
    world.proxy.nextConnection(
      ...Array.from({ length: 50 }, () => ({ fault: connections[Math.floor(random() * 5)]! }) as ConnectionFate),
    )
    const writers = Array.from({ length: 3 }, () => ({ ...world.newStream(), recorded: [] as string[] }))
    for (let op = 0; world.proxy.exchanges.length < 100; op++) {
      for (const { stream, recorded } of writers) {
        if (random() < 0.3) stream.record({ method: "poison", args: [`p${op}`] })
        stream.record({ method: "put", args: [`o${op}`] })
        recorded.push(`o${op}`)
      }
      await world.outbox.flush()
    }
    world.proxy.heal()
    await world.outbox.flush()
    for (const { stream, ref, recorded } of writers) {
      expect({ seed, effects: world.server.effects(ref) }).toEqual({ seed, effects: recorded })
      expect(stream.status()).toMatchObject({ pending: 0, block: undefined })
    }
  },
)
