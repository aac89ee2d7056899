/** What a stranger gives to the suites: told at once what is wrong with it, and what is not checked for want of it. */
import { newHttpBatchRpcResponse } from "capnweb"
import { describe, expect, test } from "bun:test"
import { openCore } from "../../src/service/core.ts"
import { openShareServiceFile } from "../../src/service/sql-bun.ts"
import { ShareServiceTarget } from "../../src/service/target.ts"
import {
  ConformanceError,
  eachServiceCheck,
  eachStoreCheck,
  type MethodCall,
  type OptionalMethod,
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

test("a server that is not there is said to be, and no check passes", async () => {
  const { service } = { service: "http://127.0.0.1:1/rpc/share" }
  const said = await failureOf({ ...least, make: () => ({ service }) }, "rule 3: a batch")
  expect(said).toContain("answered  no answer:")
})

async function failureOf<Subject extends ServiceSubject>(subject: Subject, named: string): Promise<string> {
  const check = eachServiceCheck(subject).find(({ name }) => name.startsWith(named))!
  return check.run().then(
    () => "it passed",
    (error: Error) => error.message,
  )
}

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
