/** What a stranger gives to the suites: told at once what is wrong with it, and what is not checked for want of it. */
import { newHttpBatchRpcResponse } from "capnweb"
import { describe, expect, test } from "bun:test"
import { createShareService } from "../../src/service/bun.ts"
import { openCore } from "../../src/service/core.ts"
import { openShareServiceFile } from "../../src/service/sql-bun.ts"
import { ShareServiceTarget } from "../../src/service/target.ts"
import {
  ConformanceError,
  eachServiceCheck,
  eachStoreCheck,
  type MethodCall,
  type OptionalMethod,
  type ServicePlace,
  type ServiceSubject,
  type ShareRef,
  type StorePlace,
  type StoreSubject,
} from "../../src/testing/conformance/index.ts"
import { methods, table } from "./own-service.ts"

const origin = "https://share.example"

/** The least that somebody with a server of his own can say: here with capnweb's own batch endpoint. */
const least: ServiceSubject = {
  make() {
    const sql = openShareServiceFile(":memory:")
    sql.run(table)
    const target = new ShareServiceTarget(openCore({ sql, methods }), origin)
    return {
      service: `${origin}/rpc/share`,
      fetch: (request) => newHttpBatchRpcResponse(request, target),
      close: () => sql.close(),
    }
  },
  methods: { applied: { method: "put" }, rejected: { method: "refuse" } satisfies MethodCall },
}

describe("a service of which the least is said", () => {
  for (const { name, run, skip } of eachServiceCheck(least)) if (!skip) test(name, run)

  test("is told of each check that is skipped what would unlock it, and none passes unsaid", async () => {
    const skipped = eachServiceCheck(least).filter((check) => check.skip !== undefined)
    expect(new Set(skipped.map((check) => check.skip))).toEqual(
      new Set([
        "methods.failing is not given",
        "methods.echo is not given",
        "the hook effects is not given",
        "the hook restart is not given",
        "the hook backUp is not given",
      ]),
    )
    for (const { name, skip, run } of skipped) {
      expect(name).toEndWith(`(skipped: ${skip})`)
      expect(await run().catch((error: unknown) => error)).toBeInstanceOf(ConformanceError)
    }
  })
})

describe("a service without some of the methods", () => {
  const without: OptionalMethod[] = ["createShare", "readShare", "attenuate", "revokeCapability", "removeShare"]

  /** A service that has no share of its own making could give nothing to check: this one makes it for the suite. */
  function reduced(): ServiceSubject<ReturnType<typeof make>> {
    return {
      ...least,
      make,
      without,
      share: ({ create }) => create(),
    }
  }

  function make() {
    const sql = openShareServiceFile(":memory:")
    sql.run(table)
    const core = openCore({ sql, methods })
    const real = new ShareServiceTarget(core, origin)
    return {
      service: `${origin}/rpc/share`,
      fetch: (request: Request) => newHttpBatchRpcResponse(request, real),
      create: (): ShareRef => {
        const { id, secret } = real.createShare("ses_1")
        return { share_id: id, secret }
      },
      close: () => sql.close(),
    }
  }

  test("is checked by the rest, in shares that it gives", async () => {
    const checks = eachServiceCheck(reduced())
    const run = checks.filter((check) => check.skip === undefined)
    expect(run.length).toBeGreaterThan(20)
    for (const check of run) await check.run()
    const reasons = checks.map((check) => check.skip)
    for (const name of without.filter((name) => name !== "readShare"))
      expect(reasons).toContain(`the service is without ${name}`)
    expect(reasons).toContain("needs readShare or the hook effects")
  })
})

test("a failure tells what was sent, what came back, what was due by which rule, and no secret", async () => {
  const said = await failureOf({ ...least, methods: { ...least.methods, applied: { method: "refuse" } } }, "rule 3: a")
  expect(said.replaceAll(/secret \d/g, "")).not.toMatch(/[A-Za-z0-9_-]{43}/)
  expect(said).toContain("rule 3: (expected_cursor, expected_head_op_id) is the register")
  expect(said).toContain("sent      appendOps w1 for (0, -): a=refuse b=refuse c=refuse")
  expect(said).toContain("answered  Ack (3, c), rejected a not_wanted, rejected b not_wanted, rejected c not_wanted")
  expect(said).toContain("should be Ack (3, c), applied a c, rejected b with a code of the service's own")
  expect(said).toContain("POST 1\n    createShare")
})

describe("nobody answers as a Cap'n Web service:", () => {
  const at = "nobody answered as a Cap'n Web service at http://127.0.0.1:1/rpc/share: "
  const service = "http://127.0.0.1:1/rpc/share?token=not_shown"
  const ref: ShareRef = { share_id: "s".repeat(22), secret: "x".repeat(43) }
  const all = { ...least.methods, echo: "echo", failing: { method: "fail" } }

  async function firstLines(place: ServicePlace, more: Partial<ServiceSubject> = {}): Promise<Set<string>> {
    const hooks = { effects: () => 0, restart: () => {}, backUp: () => () => {} }
    const checks = eachServiceCheck({ make: () => place, methods: all, ...hooks, ...more })
    const errors = await Promise.all(checks.map((check) => check.run().then(() => check.name, String)))
    return new Set(errors.map((error) => error.split("\n")[0]!))
  }

  test("no check passes, and each says so first, whether it makes its share or is given one", async () => {
    const said = new Set([`ConformanceError: ${at}http://127.0.0.1:1 refused the connection`])
    expect(await firstLines({ service })).toEqual(said)
    expect(await firstLines({ service }, { share: () => ref })).toEqual(said)
  })

  test("a page, a status, an empty answer and a fetch function that throws are told as what they are", async () => {
    const said = async (fetch: NonNullable<ServicePlace["fetch"]>) => [...(await firstLines({ service, fetch }))]
    const told = (what: string) => [`ConformanceError: ${at}${what}`]
    const page = "<html>Welcome</html>"
    expect(await said(() => new Response(page))).toEqual(told("the answer is not of a Cap'n Web service"))
    expect(await said(() => new Response("", { status: 404 }))).toEqual(told("HTTP 404"))
    expect(await said(() => new Response(""))).toEqual(told("the response ended before all calls were answered"))
    const broken = () => {
      throw new Error("broken")
    }
    expect(await said(broken)).toEqual(told("Error: broken"))
  })

  test("then comes what the check was about, and what was sent", async () => {
    const said = await failureOf({ ...least, make: () => ({ service }) }, "rule 3: a batch")
    expect(said.split("\n")[1]).toStartWith("createShare answers id, url and secret")
    expect(said).toContain("answered  no answer: http://127.0.0.1:1 refused")
  })

  test("one that hangs is given up at the deadline, by every check in its first POST", async () => {
    let asked = 0
    const hanging = () => {
      asked++
      return new Promise<Response>(() => {})
    }
    const said = await firstLines({ service, fetch: hanging }, { deadline_ms: 5 })
    expect([...said]).toEqual([`ConformanceError: ${at}no complete answer within 5 ms`])
    expect(asked).toBe(eachServiceCheck(least).length)
  })

  test("one that hangs over HTTP, in the middle of its answer too, is given up and let go of", async () => {
    const middle = () =>
      new Response(new ReadableStream({ start: (body) => body.enqueue(new TextEncoder().encode('["resolve",1')) }))
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", idleTimeout: 0, fetch: middle })
    const make = () => ({ service: server.url.href, close: () => server.stop() })
    const said = await failureOf({ ...least, make, deadline_ms: 50 }, "rule 3: a batch")
    expect(said).toStartWith(
      `nobody answered as a Cap'n Web service at ${server.url.href}: no complete answer within 50`,
    )
  })
})

test("a service that hangs on one POST is told which, after those that it answered, and is sent no more", async () => {
  let posts = 0
  const make = async () => {
    const place = await least.make()
    const fetch = (request: Request) => (++posts === 3 ? new Promise<Response>(() => {}) : place.fetch!(request))
    return { ...place, fetch }
  }
  const said = await failureOf({ ...least, make, deadline_ms: 50 }, "a POST that arrives twice")
  expect(said).toStartWith(
    "every POST is answered within deadline_ms of the subject\n  no complete answer within 50 ms",
  )
  expect(said).toContain("  POST 3\n    redeemShare")
  expect(posts).toBe(3)
})

async function failureOf<Subject extends ServiceSubject>(subject: Subject, named: string): Promise<string> {
  const check = eachServiceCheck(subject).find(({ name }) => name.startsWith(named))!
  return check.run().then(
    () => "it passed",
    (error: Error) => error.message,
  )
}

describe("a service in plain HTTP/JSON", () => {
  const service = "http://127.0.0.1:1/base/"
  const over = (fetch: NonNullable<ServicePlace["fetch"]>) =>
    failureOf({ ...least, make: () => ({ service, fetch }), protocol: "http" }, "rule 3: a batch")

  /** Our own, with what a gateway before it makes of the requests for ops. */
  function behind(gateway: (request: Request, answer: (request: Request) => Promise<Response>) => Promise<Response>) {
    const sql = openShareServiceFile(":memory:")
    sql.run(table)
    const own = createShareService({ sql, methods })
    const answer = (request: Request) => own.fetch(new Request(request.url.replace("/base/", "/"), request))
    return over((request) => (request.url.endsWith("/ops") ? gateway(request, answer) : answer(request)))
  }

  test("is asked below the path of its URL, and passes", async () => {
    expect(await behind((request, answer) => answer(request))).toBe("it passed")
  })

  test("that sees each batch twice fails", async () => {
    const twice = await behind(async (request, answer) => {
      const again = request.clone()
      await answer(request)
      return answer(again)
    })
    expect(twice).toContain("should be Ack (3, c), applied a c, rejected b with a code of the service's own")
  })

  test("that refuses by a status instead of an answer fails", async () => {
    const error = { error: { code: "gap", message: "no" } }
    const said = await behind(async () => Response.json(error, { status: 409 }))
    expect(said).toContain("answered  error gap")
  })

  test("that is none is told as what it is", async () => {
    const said = async (answer: Response) => (await over(() => answer.clone())).split("\n")[0]
    const at = "nobody answered as an HTTP/JSON service at http://127.0.0.1:1/base/: "
    expect(await said(new Response("<html>Welcome</html>"))).toBe(`${at}HTTP 200 <html>Welcome</html>`)
    expect(await said(new Response("", { status: 404 }))).toBe(`${at}HTTP 404`)
    expect(await said(Response.json({ error: "no" }, { status: 500 }))).toBe(`${at}HTTP 500 {"error":"no"}`)
  })
})

describe("what is no subject is refused at once:", () => {
  const wrong: [what: string, change: object, message: string][] = [
    ["no make", { make: undefined }, "make must be a function"],
    ["an unknown field", { restartt: () => {} }, "has no field restartt"],
    ["no methods", { methods: undefined }, "methods must be an object, got undefined"],
    ["no rejected", { methods: { applied: { method: "put" } } }, "methods.rejected must be an object"],
    ["a method without a name", { methods: { ...least.methods, applied: { method: "" } } }, "methods.applied.method"],
    ["args that are none", { methods: { ...least.methods, applied: { method: "put", args: {} } } }, "must be an array"],
    ["an echo without a name", { methods: { ...least.methods, echo: 5 } }, "methods.echo must be the name"],
    ["a hook that is none", { effects: 1 }, "effects must be a function, got a number"],
    ["a deadline of no time", { deadline_ms: 0 }, "deadline_ms must be an integer from 1 to 2147483647, got 0"],
    ["a deadline of half a ms", { deadline_ms: 0.5 }, "got 0.5"],
    ["a deadline that no timer takes", { deadline_ms: 2 ** 31 }, "got 2147483648"],
    ["a deadline that is no number", { deadline_ms: "4000" }, "got a string"],
    ["a protocol that is none", { protocol: "soap" }, "protocol must be rpc or http, got soap"],
    ["without something that is required", { without: ["appendOps"] }, "got appendOps"],
    ["without createShare and no share", { without: ["createShare"] }, "share must say"],
  ]
  for (const [what, change, message] of wrong)
    test(what, () => {
      const subject = { ...least, ...change } as ServiceSubject
      expect(() => eachServiceCheck(subject)).toThrow(TypeError)
      expect(() => eachServiceCheck(subject)).toThrow(message)
    })

  test("a place without an endpoint", async () => {
    const [check] = eachServiceCheck({ ...least, make: () => ({ service: "not a url" }) })
    await expect(check!.run()).rejects.toThrow("make must return { service }, the URL")
  })

  test("of the store: no make, an unknown field, a host that is no boolean, a place without where", async () => {
    const each = (subject: object) => () => eachStoreCheck(subject as StoreSubject)
    const make = (): StorePlace => ({ where: "" })
    expect(each({})).toThrow("make must be a function")
    expect(each({ make, path: 1 })).toThrow("has no field path")
    expect(each({ make, host: 1 })).toThrow("host must be true or false")
    await expect(each({ make })()[0]!.run()).rejects.toThrow("make must return { where }")
  })
})

test("the place is closed however a check ends", async () => {
  const closed: string[] = []
  const at = (name: string): ServiceSubject => ({
    ...least,
    make: () => ({ service: "http://127.0.0.1:1/rpc/share", close: () => closed.push(name) }),
  })
  await eachServiceCheck(at("failed"))[0]!
    .run()
    .catch(() => {})
  const passing = { ...least, make: async () => ({ ...(await least.make()), close: () => closed.push("passed") }) }
  await eachServiceCheck(passing)[0]!.run()
  expect(closed).toEqual(["failed", "passed"])
})
