/** How a fault proxy is told what to do: connections, queues of fates, down and up, its end, and bad input. */
import { expect, test } from "bun:test"
import {
  connectionFaultNames,
  exchangeFaultNames,
  openFaultProxy,
  type ConnectionFate,
  type Ending,
  type ExchangeFate,
} from "../../src/testing/fault-proxy/index.ts"
import { ManualClock } from "../../src/testing/manual-clock.ts"
import { rawServer } from "../wire/raw-server.ts"
import { answering, asSeen, calm, openBetween, rawClient, request } from "./raw-ends.ts"

test.each<[ConnectionFate["fault"], Ending]>([
  ["refuse", "rst"],
  ["close", "fin"],
])("%s: the next connection ends at once (%s), the one after it lives", async (fault, how) => {
  using service = answering()
  await using proxy = await openBetween(service)
  proxy.nextConnection({ fault } as ConnectionFate)
  using first = await rawClient(proxy.port)
  expect(await first.ended).toBe(asSeen(how))
  using second = await rawClient(proxy.port)
  await second.say(request("one"))
  await second.hears("answer 0")
  expect([proxy.connections, service.connections, proxy.exchanges.length]).toEqual([2, 1, 1])
})

test("silence: what comes is swallowed, and is no exchange", async () => {
  using service = answering()
  await using proxy = await openBetween(service)
  proxy.alwaysConnection({ fault: "silence" })
  using client = await rawClient(proxy.port)
  await client.say(request("one"))
  await calm()
  expect([client.heard, service.connections, proxy.exchanges.length]).toEqual(["", 0, 0])
  client.leave()
  expect(await client.ended).toBe("fin")
})

test("down: nobody listens and every connection is reset, until up, on the same port", async () => {
  using service = answering()
  await using proxy = await openBetween(service)
  using client = await rawClient(proxy.port)
  await client.say(request("one"))
  await client.hears("answer 0")
  await proxy.down()
  await proxy.down()
  expect(await client.ended).toBe(asSeen("rst"))
  expect(await codeOfConnecting(proxy.port)).toBe("ECONNREFUSED")
  await proxy.up()
  await proxy.up()
  using again = await rawClient(proxy.port)
  await again.say(request("two"))
  await again.hears("answer 1")
})

async function codeOfConnecting(port: number): Promise<string> {
  const failed = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } }).then(
    () => ({ code: "connected" }),
    (error: { code: string }) => error,
  )
  return failed.code
}

test("fates are taken in order, then the default, until it is healed", async () => {
  using service = answering()
  await using proxy = await openBetween(service)
  const first: ExchangeFate = { fault: "status", status: 500 }
  proxy.next(first, { fault: "none" })
  proxy.always({ fault: "page" })
  proxy.nextConnection({ fault: "none" }, { fault: "refuse" })
  // What was given is what holds.
  first.status = 502
  using client = await rawClient(proxy.port)
  for (const text of ["500", "answer 0", "</html>"]) {
    await client.say(request("one"))
    await client.hears(text)
  }
  proxy.heal()
  await client.say(request("one"))
  await client.hears("answer 1")
  using other = await rawClient(proxy.port)
  await other.say(request("one"))
  await other.hears("answer 2")
  expect(proxy.exchanges.map(({ fate }) => fate.fault)).toEqual(["status", "none", "page", "none", "none"])
})

test("disposing gives up a copy that is held while the first is not answered yet", async () => {
  using service = rawServer({ text: "", after: "hang" })
  const proxy = await openBetween(service)
  proxy.next({ fault: "duplicate_request", second: "released" })
  using client = await rawClient(proxy.port)
  await client.say(request("one"))
  const exchange = await proxy.arrived(1)
  await Promise.all([exchange.held, service.asked])
  await proxy[Symbol.asyncDispose]()
  await exchange.ended
  expect([exchange.delivered, service.requests.length]).toEqual([1, 1])
})

test("disposing resets every connection and gives up what is held: the service never gets it", async () => {
  using service = answering()
  const proxy = await openBetween(service, new ManualClock())
  proxy.next({ fault: "hold_request" }, { fault: "delay_request", delay_ms: 1 })
  using one = await rawClient(proxy.port)
  using two = await rawClient(proxy.port)
  await one.say(request("one"))
  await (
    await proxy.arrived(1)
  ).held
  await two.say(request("two"))
  await proxy.arrived(2)
  await proxy[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
  expect([await one.ended, await two.ended]).toEqual([asSeen("rst"), asSeen("rst")])
  for (const exchange of proxy.exchanges) await exchange.ended
  expect(service.connections).toBe(0)
  expect(proxy.up()).rejects.toThrow("the fault proxy is closed")
})

test.each<[string, unknown, string]>([
  ["no object", "none", "a fate is an object, got a string"],
  ["null", null, "a fate is an object, got null"],
  ["no fault", {}, "undefined is no fate of an exchange: "],
  ["an unknown fault", { fault: "explode" }, '"explode" is no fate of an exchange: none, delay_request, '],
  ["a name of Object's", { fault: "toString" }, '"toString" is no fate of an exchange: '],
  ["a fate of connections", { fault: "refuse" }, '"refuse" is no fate of an exchange: '],
  ["a field too many", { fault: "none", at: 1 }, 'none has no "at"'],
  ["a field too few", { fault: "cut_request", by: "fin" }, "at of cut_request must be an integer from 0 to "],
  ["a negative byte", { fault: "cut_request", at: -1, by: "fin" }, "at of cut_request must be an integer from 0 to "],
  ["half a byte", { fault: "cut_response", at: 0.5, by: "rst" }, "at of cut_response must be an integer from 0 to "],
  [
    "another ending",
    { fault: "cut_request", at: 1, by: "axe" },
    'by of cut_request must be one of fin, rst, got "axe"',
  ],
  [
    "a negative delay",
    { fault: "delay_request", delay_ms: -1 },
    "delay_ms of delay_request must be an integer from 0 to ",
  ],
  [
    "no bytes a turn",
    { fault: "throttle_request", bytes: 0 },
    "bytes of throttle_request must be an integer from 1 to ",
  ],
  [
    "no time a turn",
    { fault: "throttle_response", bytes: 1, every_ms: 0 },
    "every_ms of throttle_response must be an ",
  ],
  [
    "an interim status",
    { fault: "status", status: 101 },
    "status of status must be an integer from 200 to 599, got 101",
  ],
  [
    "a header in a header",
    { fault: "status", status: 503, retry_after: "1\r\nx: y" },
    "retry_after of status must be a ",
  ],
  [
    "forwarded of no truth",
    { fault: "status", status: 503, forwarded: 1 },
    "forwarded of status must be one of true, ",
  ],
  ["a redirect to nowhere", { fault: "redirect" }, "location of redirect must be a text that a header can hold, got "],
  ["no redirect", { fault: "redirect", location: "/", status: 304 }, "status of redirect must be one of 301, "],
  ["another second", { fault: "duplicate_request", second: "never" }, "second of duplicate_request must be one of "],
])("a fate that is none is refused, and none of its queue is taken: %s", async (_, fate, message) => {
  await using proxy = await openFaultProxy({ to: "http://127.0.0.1:9" })
  const wrong = fate as ExchangeFate
  for (const give of [() => proxy.next({ fault: "page" }, wrong), () => proxy.always(wrong)]) {
    expect(give).toThrow(TypeError)
    expect(give).toThrow(message)
  }
  using client = await rawClient(proxy.port)
  await client.say(request("one"))
  expect((await proxy.arrived(1)).fate).toEqual({ fault: "none" })
})

test("a fate of connections that is none is refused", async () => {
  await using proxy = await openFaultProxy({ to: "http://127.0.0.1:9" })
  const wrong = { fault: "page" } as unknown as ConnectionFate
  const message = '"page" is no fate of a connection: none, refuse, close, silence'
  expect(() => proxy.nextConnection(wrong)).toThrow(new TypeError(message))
  expect(() => proxy.alwaysConnection(wrong)).toThrow(new TypeError(message))
})

test.each([
  undefined,
  7,
  "127.0.0.1:80",
  "https://x.example",
  "http://x.example/rpc",
  "http://u:p@x.example",
  "http://x/?q",
])("what is no http origin is refused: %p", async (to) => {
  const opening = openFaultProxy({ to: to as string })
  expect(opening).rejects.toThrow(TypeError)
  expect(opening).rejects.toThrow("`to` must be the origin of a service")
})

test("other nonsense is refused by name", async () => {
  const options = { to: "http://127.0.0.1:9", form: 1 } as { to: string }
  expect(openFaultProxy(options)).rejects.toThrow("the options of openFaultProxy: the object has no field form")
  await using proxy = await openFaultProxy({ to: "http://127.0.0.1:9" })
  expect(proxy.arrived(0)).rejects.toThrow(new TypeError("exchanges are counted from 1, got 0"))
  expect(() => proxy.cut("axe" as "fin")).toThrow(TypeError)
})

test("every fault has its name", () => {
  expect(exchangeFaultNames).toHaveLength(18)
  expect(connectionFaultNames).toEqual(["none", "refuse", "close", "silence"])
})
