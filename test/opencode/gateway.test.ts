/** The gateway: ids as services make them, and the proxies of the user. */
import { expect, test } from "bun:test"
import { exceptLoopbackFromProxies, openGateway } from "../../src/opencode/gateway.ts"
import { systemRandom } from "../../src/intent/system.ts"

test.each(["ses_1", "a/b", "a b", "a%b", "ä", "sync"])("a share of the id %p is removed by that id", async (id) => {
  const removed: unknown[] = []
  const host = {
    create: () => Promise.reject(new Error("not asked")),
    removeShare: (...share: unknown[]) => void removed.push(share),
    failed: (error: unknown) => void removed.push(error),
  }
  const url = openGateway(() => host, systemRandom).urlFor("0")
  const response = await fetch(`${url}/api/share/${id}`, { method: "DELETE", body: JSON.stringify({ secret: "s" }) })
  expect([response.status, removed]).toEqual([200, [[id, "s"]]])
})

test.each([
  [{}, { NO_PROXY: "127.0.0.1,localhost" }],
  [{ NO_PROXY: "inner.example" }, { NO_PROXY: "inner.example,127.0.0.1,localhost" }],
  [{ no_proxy: "inner.example" }, { no_proxy: "inner.example,127.0.0.1,localhost" }],
  [
    { NO_PROXY: "a", no_proxy: "b" },
    { NO_PROXY: "a,127.0.0.1,localhost", no_proxy: "b,127.0.0.1,localhost" },
  ],
  [{ NO_PROXY: "localhost, 127.0.0.1" }, { NO_PROXY: "localhost, 127.0.0.1" }],
  [{ NO_PROXY: "*" }, { NO_PROXY: "*" }],
])("of %p the exceptions of the user still hold", (env: Record<string, string>, expected) => {
  exceptLoopbackFromProxies(env)
  expect(env).toEqual(expected)
})
