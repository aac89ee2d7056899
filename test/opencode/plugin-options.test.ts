/** What a user may say to the plugin, and what of it is refused. */
import { describe, expect, test } from "bun:test"
import { pluginOptions } from "../../src/opencode/plugin-options.ts"
import { errorOf } from "../sturdy-error.ts"

describe("an option", () => {
  test("that is not given has its default", () => {
    expect(pluginOptions(undefined, {})).toEqual({
      service: undefined,
      database: undefined,
      children: false,
      redact: undefined,
      liveTextMs: undefined,
      transport: "auto",
      serviceKey: undefined,
    })
  })

  test.each(["https://share.example", "https://share.example/", "https://share.example/rpc/share"])(
    "service names an origin or its endpoint: %s",
    (service) => expect(pluginOptions({ service }, {}).service).toBe("https://share.example/rpc/share"),
  )

  test.each([
    ["options that are no object", "text"],
    ["options that are a list", []],
    ["an unknown name", { sevrice: "https://share.example" }],
    ["a service that is no URL", { service: "nowhere" }],
    ["a service that is no text", { service: 7 }],
    ["a service with a password", { service: "https://user:s3cr3t@share.example" }],
    ["a service with a query", { service: "https://share.example/?key=s3cr3t" }],
    ["an empty path of a database", { database: "" }],
    ["children that are no boolean", { children: "s3cr3t" }],
    ["a redact that is no path", { redact: 7 }],
    ["a liveTextMs of 0", { liveTextMs: 0 }],
    ["a liveTextMs that is endless", { liveTextMs: Infinity }],
  ])("is refused without a word of its value: %s", (_, options) => {
    const { code, message, hint } = errorOf(() => pluginOptions(options, {}))
    expect([code, hint]).toEqual(["invalid_argument", "See docs/opencode.md, Options."])
    expect(message).not.toContain("s3cr3t")
  })
})

describe("the environment", () => {
  test.each(["rpc", "http", "rest", "auto"] as const)("OPENCODE_SHARE_TRANSPORT is %s", (transport) =>
    expect(pluginOptions({}, { OPENCODE_SHARE_TRANSPORT: transport }).transport).toBe(transport),
  )

  test("OPENCODE_SHARE_TRANSPORT that is empty is not set", () =>
    expect(pluginOptions({}, { OPENCODE_SHARE_TRANSPORT: "" }).transport).toBe("auto"))

  test("OPENCODE_SHARE_RPC_KEY is the service's key", () =>
    expect(pluginOptions({}, { OPENCODE_SHARE_RPC_KEY: "k3y" }).serviceKey).toBe("k3y"))

  test.each([
    ["another transport", { OPENCODE_SHARE_TRANSPORT: "grpc" }],
    ["a key with a line end, which would begin another header", { OPENCODE_SHARE_RPC_KEY: "s3cr3t\r\nx: y" }],
    ["a key with a space", { OPENCODE_SHARE_RPC_KEY: "s3cr3t s3cr3t" }],
  ])("is refused without a word of its value: %s", (_, env) => {
    const { code, message } = errorOf(() => pluginOptions({}, env))
    expect(code).toBe("invalid_argument")
    expect(message).not.toContain("s3cr3t")
  })
})
