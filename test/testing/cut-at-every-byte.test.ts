/**
 * One exchange that holds all that an exchange can (createShare, redeemShare, appendOps with an op that is rejected
 * between two that are applied), cut at every byte of the request and of the response, by FIN and by RST, on real sockets.
 * Each cut has a share of its own; whatever the service had, the next POST settles everything, once and in order.
 */
import { expect, test } from "bun:test"
import type { Ending, Exchange, ExchangeFate, Passage } from "../../src/testing/fault-proxy/index.ts"
import { openProxied, serveWithEffects } from "./proxied.ts"

type Side = "request" | "response"

/** Cuts at one time, each lane with an outbox and a proxy of its own. */
const lanes = 30

type Proxied = Awaited<ReturnType<typeof openProxied>>
type Server = ReturnType<typeof serveWithEffects>

type Outcome = typeof everythingOnceInOrder

/** The exchange under this fate, with a share of its own, and what became of it once everything is settled. */
async function exchangeUnder(
  fate: ExchangeFate,
  { proxy, outbox, stream: newStream }: Proxied,
  server: Server,
): Promise<{ exchanges: readonly Exchange[]; outcome: Outcome }> {
  const before = proxy.exchanges.length
  proxy.next(fate)
  const { stream, ref } = newStream()
  outbox.unit(() => {
    stream.record({ method: "put", args: ["a"] })
    stream.record({ method: "poison", args: ["b"] })
    stream.record({ method: "put", args: ["c"] })
  })
  await outbox.flush()
  const { pending, dead, block } = stream.status()
  return {
    exchanges: proxy.exchanges.slice(before),
    outcome: {
      effects: server.effects(ref),
      dead: stream.deadLetters().map(({ method, code }) => `${method}: ${code}`),
      status: { pending, dead, block },
    },
  }
}

const everythingOnceInOrder = {
  effects: ["a", "c"],
  dead: ["poison: poison"],
  status: { pending: 0, dead: 1, block: undefined as unknown },
}

/** Every `lanes`th cut, one after another: most meet a connection that served POSTs before. Returns the bytes of the side. */
async function cutLane(
  side: Side,
  by: Ending,
  first: number,
  server: Server,
): Promise<{ length: number; cuts: number }> {
  await using proxied = await openProxied(server.service.url)
  const whole = await exchangeUnder({ fault: "none" }, proxied, server)
  expect(whole.outcome).toEqual(everythingOnceInOrder)
  const length = whole.exchanges[0]![side].received
  let cuts = 0
  for (let at = first; at <= length; at += lanes) {
    const { exchanges, outcome } = await exchangeUnder({ fault: `cut_${side}`, at, by }, proxied, server)
    expect({ at, ...outcome }).toEqual({ at, ...everythingOnceInOrder })
    // A response that is whole counts, however its connection ends.
    const counts = side === "response" && at === length
    expect({ at, posts: exchanges.length }).toEqual({ at, posts: counts ? 1 : 2 })
    const { delivered } = exchanges[0]!
    const cut: Passage = exchanges[0]![side]
    expect({ at, delivered, passed: cut.passed }).toEqual({
      at,
      delivered: side === "request" && at < length ? 0 : 1,
      passed: at,
    })
    // Of the request the proxy need not have read more than it passed on; the next one is the same.
    const { received } = side === "request" ? exchanges[1]!.request : cut
    expect({ at, received }).toEqual({ at, received: length })
    cuts += 1
  }
  return { length, cuts }
}

test.each<[Side, Ending]>([
  ["request", "fin"],
  ["request", "rst"],
  ["response", "fin"],
  ["response", "rst"],
])(
  "cut at every byte of the %s (%s): the next POST settles everything once, in order",
  async (side, by) => {
    await using server = serveWithEffects()
    const done = await Promise.all(Array.from({ length: lanes }, (_, first) => cutLane(side, by, first, server)))
    const lengths = [...new Set(done.map(({ length }) => length))]
    const cuts = done.reduce((sum, lane) => sum + lane.cuts, 0)
    expect(lengths).toHaveLength(1)
    expect(lengths[0]).toBeGreaterThan(500)
    expect({ side, by, cuts }).toEqual({ side, by, cuts: lengths[0]! + 1 })
    console.log(`${cuts} cuts of the ${side} by ${by}`)
  },
  60_000,
)

// Every second byte: the places after a whole call are two bytes wide, before and after its newline.
test.each<[Side, number]>([
  ["request", 400],
  ["response", 300],
])(
  "truncated at every second byte of the %s's body, with a length that fits: everything once, in order",
  async (side, least) => {
    await using server = serveWithEffects()
    const lane = async (first: number): Promise<number> => {
      await using proxied = await openProxied(server.service.url)
      for (let bytes = 2 * first, done = 0; ; bytes += 2 * lanes, done++) {
        const { exchanges, outcome } = await exchangeUnder({ fault: `truncate_${side}`, bytes }, proxied, server)
        expect({ bytes, ...outcome }).toEqual({ bytes, ...everythingOnceInOrder })
        // Beyond its length nothing is missing.
        if (exchanges.length === 1) return done
      }
    }
    const truncated = await Promise.all(Array.from({ length: lanes }, (_, first) => lane(first)))
    expect(truncated.reduce((sum, done) => sum + done, 0)).toBeGreaterThan(least)
  },
  60_000,
)
