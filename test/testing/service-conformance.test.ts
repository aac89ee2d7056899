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
