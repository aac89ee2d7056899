/** Our own service passes the suite behind its fetch function, and over real HTTP. */
import { afterAll, describe, expect, test } from "bun:test"
import { eachServiceCheck } from "../../src/testing/conformance/index.ts"
import { inProcess, overHttp } from "./own-service.ts"

describe("our own service, behind its fetch function", () => {
  for (const check of eachServiceCheck(inProcess)) test(check.name, check.run)

  test("skips nothing", () => {
    expect(eachServiceCheck(inProcess).filter((check) => check.skip !== undefined)).toEqual([])
  })
})

describe("our own service, over HTTP", () => {
  const { subject, close } = overHttp()
  afterAll(close)
  for (const check of eachServiceCheck(subject)) test(check.name, check.run)
})

describe("our own service, in plain HTTP/JSON", () => {
  const checks = eachServiceCheck({ ...inProcess, protocol: "http" })
  for (const { name, run, skip } of checks) (skip === undefined ? test : test.skip)(name, run)

  test("skips only what has no route, and what one POST alone can show", () => {
    const reasons = new Set(checks.flatMap(({ skip }) => (skip === undefined ? [] : [skip])))
    const routeless = ["attenuate", "auditLog", "readShare", "revokeCapability", "rotateSecret"]
    expect([...reasons].toSorted()).toEqual([
      ...routeless.map((method) => `plain HTTP/JSON has no ${method}`),
      "plain HTTP/JSON has one request per call",
    ])
  })
})
